"""${message.rstrip(".")}.
% if seen:

Autogenerate saw:
% for line in seen:
- ${line}
% endfor
% endif
"""
<%
    def code(text):
        return "\n".join(line for line in (text or "pass").split("\n") if "# ###" not in line).strip()
%>

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
