<%
    def code(text):
        return "\n".join(line for line in (text or "pass").split("\n") if "# ###" not in line).strip()

    differences = "".join(f"\n- {line}" for line in seen)
    summary = f"{message.rstrip('.')}." + (f"\n\nAutogenerate saw:{differences}\n" if seen else "")
%>"""${summary}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${code(upgrades)}


def downgrade() -> None:
    ${code(downgrades)}
