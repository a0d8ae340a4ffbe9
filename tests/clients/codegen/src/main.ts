import { SERVICE_ID } from "./client";
import { dashboard, identify, typeOf } from "./dashboard";
import { createJob, createTemplate, finish } from "./job";

async function main() {
  const first = await dashboard(SERVICE_ID, ["DELIVERED", "FAILED"]);
  const second = await dashboard(SERVICE_ID, ["DELIVERED", "FAILED"], first.notifications.pageInfo.endCursor ?? null);
  const rows = [first, second].flatMap(({ notifications }) => notifications.edges.map(({ node }) => identify(node)));

  const templateId = await createTemplate(SERVICE_ID, "Hello ((name)), see you on ((day)).");
  const csv = (content: string) => ({ csv: { fileName: "people.csv", content } });
  const refused = await createJob({ serviceId: SERVICE_ID, templateId, source: csv("phone number,name\n07700900001,Ada") });
  const made = await createJob({
    serviceId: SERVICE_ID,
    templateId,
    source: csv("phone number,name,day\n07700900101,Ada,Monday\n07700900102,Zoë,Friday"),
  });

  console.log(
    JSON.stringify({
      service: first.id,
      serviceType: await typeOf(first.id),
      rows: rows.length,
      differentRows: new Set(rows.map(({ id }) => id)).size,
      groups: [...new Set(rows.map(({ group }) => group))].sort(),
      refused,
      finished: "id" in made ? await finish(made.id) : made,
    }),
  );
}

void main();
