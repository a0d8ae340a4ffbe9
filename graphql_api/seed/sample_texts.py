"""Names of invented people, places, organisations and services, and texts of templates."""

from __future__ import annotations

from typing import NamedTuple


class TemplateDraft(NamedTuple):
    """A template before it has a service."""

    channel: str
    name: str
    content: str
    subject: str | None = None


class Theme(NamedTuple):
    """The subject of a service, its SMS sender, and its templates."""

    title: str
    sender: str
    drafts: tuple[TemplateDraft, ...]


def _split_words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _split_words(
    """
    Amara Priya Gareth Siobhán Oluwaseun Mei Callum Zainab Rhys Agnieszka Tomasz Fatima Hamish Niamh Kwame
    Leila Dylan Megan Arjun Chloë Idris Bronwen Yusuf Ivy Noor Felix Maeve Owen Sana Kofi Esme Jamal Freya
    Rohan Elin Mateusz Ada Harris Nia Omar Beth Sunil Róisín Theo Ayesha Ewan Grace Ravi Cerys Malik Hana José
    Ingrid Angus
    """
)

LAST_NAMES = _split_words(
    """
    Ashdown Bellweather Carrow Dunmore Eastwick Fairlamb Garsdale Holloway Inchbald Jessop Kettlewell Larkspur
    Meadowcroft Netherby Ormskirk Penhallow Quayle Ravensworth Saltmarsh Thistlewood Underhill Varley
    Whitcombe Yardley Abernathy Birtwistle Copperthwaite Dalrymple Entwhistle Featherstone Gathercole
    Hathersage O'Dunne Achterberg Bhandari Chaudhary Adeyemi Okonjo Nowicka Lindqvist
    """
)

PLACES = _split_words(
    """
    Oakshire Brindlewood Marlowe Tarnside Elmbarrow Hollowmere Penderry Saltholme Fenwater Kirkbarrow
    Ravenmoor Thornabeck Willowdene Eskmouth Larkmoor Dunwold Ambercoast Greyholme Mossgate Coldmere Stannery
    Hawthorne Birchwold Wyrelow Northfell Millwold Castlemoor Sedgewold Umberwick Whinmoor Yarlside Zealcombe
    Abbotsmere Brackleford Cairnlee Dovecote Easterhope Foxmere Glenrother Harrowgill Ivelchester Junipergate
    Kestrelmoor Lowmere Maplestead Nettleholt Otterbeck Pebblewick Quarrendon Rushwold Silverfold Tidewell
    Upperthorpe Vellmouth Westhaven Winterfold Yewbarrow Appleholt Barnacre Cloverholt
    """
)

ORGANISATION_NAME_PATTERNS = (
    ("local", "{} County Council"),
    ("central", "Office for {} Affairs"),
    ("nhs_local", "{} NHS Foundation Trust"),
    ("local", "{} Borough Council"),
    ("nhs_gp", "{} Surgery"),
    ("emergency_service", "{} Fire and Rescue Service"),
    ("school_or_college", "{} Academy"),
    ("central", "{} Harbours Agency"),
    ("local", "{} District Council"),
    ("other", "{} Community Trust"),
    ("nhs_central", "{} National Health Registry"),
    ("school_or_college", "{} College"),
)
"""Types of organisation, in the order in which they are used, and their names for a place."""

SERVICE_NAME_SUFFIXES = (
    "",
    " online",
    " pilot",
    " north",
    " south",
    " reminders team",
    " 2",
    " enquiries",
    " trial",
    " east",
)

PLACEHOLDER_VALUES: dict[str, tuple[str, ...]] = {
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "date": ("3 December", "14 December", "9 January", "21 January", "2 February", "17 February"),
    "time": ("9:15am", "10am", "11:40am", "1:30pm", "2:20pm", "4:45pm"),
    "reference": ("HX-20417", "HX-20998", "HX-31560", "KD-00781", "KD-00934", "LP-55120", "LP-60377"),
    "amount": ("£12.50", "£48.00", "£96.00", "£134.20", "£210.75"),
    "place": ("the town hall", "Block C, level 2", "the library", "the sports centre", "room 14"),
    "link": ("https://www.example.com/a/7Qd2", "https://www.example.com/a/9Xk4", "https://www.example.com/a/p03L"),
    "adviser": ("the duty team", "Meadow ward", "the licensing desk", "the registrar"),
    "urgent": ("yes", "no", "no", "no"),
}
"""Values of placeholders; `name` is the recipient's."""

DEMO_SMS_DRAFT = TemplateDraft(
    "sms", "Appointment reminder", "Hello ((name)), your appointment is on ((day)). Reply to nobody: ring us."
)
DEMO_EMAIL_DRAFT = TemplateDraft(
    "email",
    "Appointment confirmed",
    "Hello ((name))\n\n# Your appointment\n\nWe will see you on ((day)).\n\n* bring something with your name on it\n"
    "* come ten minutes early\n\n---\n\nIf you cannot come, tell us at https://www.example.com/appointments",
    "Your appointment on ((day))",
)

GENERIC_DRAFTS = (
    TemplateDraft("sms", "Security code", "((reference)) is your security code. Do not tell it to anybody."),
    TemplateDraft(
        "email", "We have your message", "Hello ((name))\n\nWe have your message ((reference)).", "We have your message"
    ),
    TemplateDraft("sms", "Call us back", "We tried to reach you. Please ring ((adviser)) and quote ((reference))."),
    TemplateDraft(
        "email", "How did we do?", "Hello ((name))\n\nTell us how we did: ((link))", "How did we do, ((name))?"
    ),
    TemplateDraft(
        "letter",
        "We could not reach you",
        "Dear ((name))\n\nWe tried to reach you about ((reference)).\n\n# What to do\n\n* ring us by ((date))\n* write",
        "About ((reference))",
    ),
)

THEMES = (
    Theme(
        "appointments",
        "APPTS",
        (
            DEMO_SMS_DRAFT,
            DEMO_EMAIL_DRAFT,
            TemplateDraft(
                "sms", "Appointment moved", "((name)): your appointment has moved to ((day)) at ((time)). ((place))."
            ),
            TemplateDraft("sms", "Missed appointment", "((name)), you missed us on ((day)). Book again: ((link))"),
            TemplateDraft(
                "letter",
                "Appointment letter",
                "Dear ((name))\n\nPlease come on ((date)) at ((time)) to ((place)).\n\nReference: ((reference)).",
                "Your appointment on ((date))",
            ),
        ),
    ),
    Theme(
        "bin collections",
        "BINS",
        (
            TemplateDraft(
                "sms", "Bin day tomorrow", "Put out your ((urgent??food and ))general waste by 7am on ((day))."
            ),
            TemplateDraft(
                "email",
                "Collection changed",
                "Hello ((name))\n\n^ Your next collection is on ((day)).",
                "Bins: ((day))",
            ),
            TemplateDraft(
                "sms", "Missed bin", "Sorry: we missed your bin. We come back on ((day)). Reference ((reference))."
            ),
        ),
    ),
    Theme(
        "council tax",
        "CTAX",
        (
            TemplateDraft(
                "sms", "Payment due", "((name)), ((amount)) of council tax is due on ((date)). Pay: ((link))"
            ),
            TemplateDraft(
                "email",
                "Your bill",
                "Hello ((name))\n\nYour bill is ((amount)).\n\n[Pay it](https://www.example.com)",
                "Bill",
            ),
            TemplateDraft(
                "letter",
                "Final notice",
                "Dear ((name))\n\nYou have not paid ((amount)), due on ((date)).\n\n# What to do\n\n1. Pay\n2. Ring us",
                "Final notice: ((reference))",
            ),
        ),
    ),
    Theme(
        "licence renewals",
        "LICENCES",
        (
            TemplateDraft(
                "email",
                "Renew your licence",
                "Hello ((name))\n\nLicence ((reference)) ends on ((date)).",
                "Renew by ((date))",
            ),
            TemplateDraft("sms", "Licence ends soon", "Licence ((reference)) ends on ((date)). Renew it: ((link))"),
            TemplateDraft(
                "email", "Licence renewed", "Hello ((name))\n\nLicence ((reference)) is renewed.", "It is renewed"
            ),
        ),
    ),
    Theme(
        "test results",
        "RESULTS",
        (
            TemplateDraft(
                "sms", "Result ready", "((name)), your result is ready. ((urgent??Ring us today. ))See ((link))"
            ),
            TemplateDraft(
                "email",
                "Result explained",
                "Hello ((name))\n\nSpeak to ((adviser)) about ((reference)).",
                "Your result",
            ),
            TemplateDraft(
                "sms",
                "How to prepare",
                "((name)), before you come on ((day)) at ((time)): eat nothing after midnight, drink only water, "
                "wear loose clothes, leave jewellery at home and bring a list of your medicines. Ask ((adviser)).",
            ),
        ),
    ),
    Theme(
        "school notices",
        "SCHOOL",
        (
            TemplateDraft("sms", "Closed today", "The school is closed on ((day)). ((name)) will get work online."),
            TemplateDraft(
                "email",
                "Newsletter",
                "Dear family of ((name))\n\nThis week: ((place)), ((day)) at ((time)).",
                "This week",
            ),
            TemplateDraft("sms", "Absence", "((name)) was not in class on ((day)). Please ring ((adviser))."),
        ),
    ),
    Theme(
        "flood warnings",
        "FLOODS",
        (
            TemplateDraft(
                "sms",
                "Flood alert",
                "Flood alert for ((place)) until ((time)) on ((day)). ((urgent??Act now. ))((link))",
            ),
            TemplateDraft("email", "Alert over", "Hello ((name))\n\nThe alert for ((place)) is over.", "Alert over"),
        ),
    ),
    Theme(
        "planning notices",
        "PLANNING",
        (
            TemplateDraft(
                "email", "Application received", "Hello ((name))\n\nWe have ((reference)).", "Application ((reference))"
            ),
            TemplateDraft(
                "email", "Comment by", "Hello ((name))\n\nComment on ((reference)) by ((date)).", "Comment by ((date))"
            ),
            TemplateDraft(
                "letter", "Neighbour letter", "Dear ((name))\n\nA neighbour plans to build: ((reference)).", "Planning"
            ),
        ),
    ),
    Theme(
        "job alerts",
        "JOBS",
        (
            TemplateDraft(
                "email",
                "New vacancies",
                "Hello ((name))\n\n* ((adviser))\n* ((place))\n\nSee ((link))",
                "New this week",
            ),
            TemplateDraft("sms", "Interview", "((name)), your interview is on ((day)) at ((time)), ((place))."),
        ),
    ),
    Theme(
        "library loans",
        "LIBRARY",
        (
            TemplateDraft("sms", "Due back", "((name)), your books are due on ((day)). Renew: ((link))"),
            TemplateDraft(
                "email", "Reservation ready", "Hello ((name))\n\nYour book waits at ((place)).", "Your book is here"
            ),
        ),
    ),
)

VARIANT_NAMES = (
    "first reminder",
    "second reminder",
    "last reminder",
    "evenings",
    "weekends",
    "pilot",
    "large print",
    "plain words",
    "for families",
    "winter",
)

EARLIER_VERSION_SUFFIXES = (
    "\n\nPlease do not answer this message.",
    "\n\nThank you.",
    "\n\nRing us if anything is unclear.",
    "\n\nThis is an automatic message.",
)
"""Sentences at the end of earlier versions of a template."""

JOB_FILE_NAMES = (
    "people.csv",
    "reminders.csv",
    "this week.csv",
    "overdue.csv",
    "north.csv",
    "patients.csv",
    "letters.csv",
)

STREETS = ("Mill Lane", "Station Road", "Church Walk", "High Street", "Quarry Close", "Orchard Way", "Tithe Barn Row")
POSTCODES = ("SW1A 1AA", "EC1A 1BB", "W1A 0AX", "M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT")
