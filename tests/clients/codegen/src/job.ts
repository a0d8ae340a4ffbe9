import { ask } from "./client";
import { graphql } from "./generated";
import type { CreateJobInput, JobStatus, UserErrorCode } from "./generated/graphql";

const CreateTemplate = graphql(`
  mutation CreateTemplate($input: CreateTemplateInput!) {
    createTemplate(input: $input) {
      template {
        id
        version
      }
      userErrors {
        __typename
        code
        message
        path
        ... on AlreadyExistsError {
          existing {
            id
          }
        }
      }
    }
  }
`);

const CreateJob = graphql(`
  mutation CreateJob($input: CreateJobInput!) {
    createJob(input: $input) {
      job {
        id
        recipientCount
      }
      userErrors {
        __typename
        code
        path
      }
    }
  }
`);

const Progress = graphql(`
  query Progress($jobId: ID!) {
    job(id: $jobId) {
      status
      progress {
        delivered
        failed
        isFinal
      }
    }
  }
`);

export async function createTemplate(serviceId: string, body: string): Promise<string> {
  const input = { serviceId, name: `Made by a client, ${Date.now()}`, content: { sms: { body } } };
  const { createTemplate: made } = await ask(CreateTemplate, { input });
  if (!made?.template) {
    throw new Error(JSON.stringify(made?.userErrors));
  }
  return made.template.id;
}

export async function createJob(input: CreateJobInput): Promise<{ id: string } | { refusals: UserErrorCode[] }> {
  const { createJob: made } = await ask(CreateJob, { input });
  return made?.job ?? { refusals: made?.userErrors.map(({ code }) => code) ?? [] };
}

/** Asks until the job can change no more. */
export async function finish(jobId: string): Promise<{ status: JobStatus; delivered: number; failed: number }> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const { job } = await ask(Progress, { jobId });
    if (job?.progress.isFinal) {
      const { delivered, failed } = job.progress;
      return { status: job.status, delivered, failed };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("The job did not finish.");
}
