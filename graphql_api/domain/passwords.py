"""Rules for new passwords: length, and not one of the most common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql_api.content.values import is_storable
from graphql_api.enums import UserErrorCode
from graphql_api.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_PASSWORD_CHARACTERS, MAX_PASSWORD_CHARACTERS = 8, 1_000

COMMON_PASSWORDS = frozenset(
    """
    00000000 01234567 0123456789 10203040 11111111 1111111111 11223344 1122334455 12121212 12312312 123123123
    12341234 12344321 123454321 12345678 123456789 1234567890 12345678910 123456789a 123456789q 1234567a 12345qwert
    1234abcd 1234qwer 123abc123 123qweasd 123qweasdzxc 13131313 13245678 14725836 147258369 14789632 147896325
    159357456 159753456 18436572 19841984 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz1qaz 1qaz2wsx 1qaz2wsx3edc 1qazxsw2
    20202020 21212121 22222222 23232323 24682468 25802580 31415926 321321321 33333333 44444444 55555555 66666666
    741852963 77777777 78945612 789456123 87654321 88888888 963852741 98765432 987654321 9876543210 99999999 999999999
    a1234567 a12345678 a123456789 a1b2c3d4 a1s2d3f4 aa123456 aa12345678 aaaaaaaa abc12345 abc123456 abcd1234 abcd12345
    abcdefgh abcdefg1 access14 adgjmptw admin123 admin1234 administrator adminadmin airborne airplane alexander
    alexandra alexandria alistair anderson andromeda angelina antonio1 apples123 applepie aqwzsxed archangel arsenal1
    asasasas asdasdasd asdf1234 asdfasdf asdfghjk asdfghjkl asdfjkl1 asdqwe123 asd12345 azerty123 azertyuiop
    babygirl babygirl1 babyblue backspace bananas1 barcelona barcelona1 bargains baseball baseball1 basketball
    basketbal1 batman123 bearbear beautiful beautiful1 benjamin bigdaddy birthday birmingham blackbird blackcat
    blahblah blink182 bluebird boomboom brighton brittany broncos1 brooklyn buckeyes bulldogs
    business buster12 butterfly butterfly1 calvin12 cambridge cameron1 candyman carolina caroline catalina catherine
    champion changeme changeme1 changeme123 charlie1 charlie123 charlotte charlton cheerleader chelsea1 chelseafc
    cherries chester1 chicago1 chicken1 chocolate chocolate1 christian christina christine christmas cinderella
    claudia1 clarissa clevelan cocacola colorado computer computer1 confirmed connection consumer coolness courtney
    cowboys1 creative cristina croatia1 daddyyankee dallas22 danielle danielle1 dave1234 davidson deadpool default1
    december destiny1 diamonds dinosaur discover dolphin1 dolphins dontknow dorothea download dragon12 dragon123
    dragonball drowssap ducati99 eastside edinburgh einstein elephant elizabeth elizabeth1 emmanuel england1 england123
    evolution explorer facebook facebook1 fantasia february fernando firebird fireball fishing1 fktrcfylh flamingo
    florence flower12 football football1 football12 football123 forever1 francesca franklin freedom1 freepass
    friday13 friends1 friendship gabriela gabriel1 garfield gateway1 genesis1
    geoffrey george123 giuseppe glasgow1 goldfish goodluck goodbye1 gordon24 government govnotify grandma1 greenday
    greenday1 griffin1 guinness guitar123 gwendolyn hallo123 hardcore harrison harrypotter hellokitty helloworld
    hello123 hello1234 hellohello helpdesk hercules highland hollywood homework hunter12 hunter123 iceman123
    iloveyou iloveyou! iloveyou1 iloveyou12 iloveyou123 iloveyou2 ihateyou infinity insecure internet internet1
    jackson1 jamaica1 jamesbond january1 jasmine1 jeffrey1 jennifer jennifer1 jeremiah jessica1 johannes
    johncena jonathan jordan23 jordan123 justin123 justinbieber kathleen katherine kawasaki kimberly kingking kingston
    kristina lancaster landlord lasvegas lebron23 letmein1 letmein123 letmein! leicester leonardo lightning lionking
    liverpool liverpool1 liverpoolfc lollipop london12 london123 longhorn lovelove lovelove1 loveyou1 lovers123
    macintosh madison1 magnolia manchester manchester1 manunited marathon margaret marlboro martina1
    master123 masterchief matthew1 matthew123 maverick maximus1 melissa1 mercedes mercedes1 michaela michael1 michael123
    michelle michelle1 microsoft midnight minecraft mitchell monkey12 monkey123 monkeys1 montreal moonlight morrison
    motocross motorola mountain mushroom mustang1 mynameis mypassword mypassword1 napoleon naruto123
    nathan12 newcastle newpassword newyork1 nicholas nicholas1 nightmare nintendo nirvana1 nopassword notify123
    november nothing1 november1 october1 olivia12 omgpop123 operator p4ssw0rd p@ssw0rd p@ssword p@ssw0rd1 pa$$w0rd
    pa55w0rd pa55word pakistan panasonic paradise parker12 pass1234 pass12345 passport passpass passw0rd passw0rd1
    password password! password01 password0 password1 password1! password10 password11 password12 password123
    password1234 password13 password2 password21 password3 password4 password5 password7 password8 password9
    passwords passwort patricia patrick1 peaches1 peekaboo penelope pictures pineapple platinum playboy1 please123
    pokemon1 pokemon123 portland portugal precious princesa princess princess1 princess12 princess123 provider
    purple12 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 qazqazqaz qazwsx12 qazwsx123 qazwsxed qazwsxedc qweasdzxc qweqweqwe
    qwer1234 qwer12345 qwerasdf qwerqwer qwert123 qwert12345 qwerty01 qwerty11 qwerty12 qwerty123 qwerty1234
    qwerty12345 qwerty123456 qwerty78 qwertyqwerty qwertyu1 qwertyui qwertyuiop qwertyuiop1 qwertz123 rainbow1
    rangers1 ravens52 rebecca1 redskins remember revolution richard1 richmond rockstar rockyou1 romantic rootroot
    sabrina1 samantha samantha1 samsung1 samsung123 sandra12 sarah123 saturday savannah scarface scooter1 scorpion
    scotland scotland1 secret12 secret123 security senha123 september serenity sexy1234 shadow12 shadow123 shannon1
    sheffield simpsons skateboard skywalker slipknot slipknot1 snickers snowball snowboard snowflake
    soccer12 softball something southampton southside spiderman spiderman1 spitfire sponge12 spongebob spongebob1
    springer starcraft stargate startrek starwars starwars1 stephanie steelers steelers1 stephen1 steven12 straight
    strawberry stronger studio54 sunderland summer12 summer123 summer2020 summer2021 summer2022 summer2023 summer2024
    sunflower sunshine sunshine1 superman superman1 supernova superstar surfer12 sweetheart sweetpea swordfish
    system32 taylor123 teddybear telephone tennis12 terminal terminator test1234 test12345 testing1 testing123
    testtest thailand theodore thirteen thomas12 thuglife thunder1 tiffany1 tigger12 tigger123 tinkerbell tinkerbell1
    titanic1 tottenham tottenham1 treasure trinity1 trustno1 turnip99 twilight tyler123 undertaker united12
    universal universe unicorn1 vacation valencia valentin valentina valentine vampire1 vanessa1 veronica victoria
    victoria1 vincent1 virginia volcom12 volleyball voyager1 walker12 warcraft warrior1 waterfall watermelon webmaster
    welcome1 welcome12 welcome123 welcome1! welcome2 westside whatever whatever1 whiskers wildcats william1 williams
    windows1 winner12 winter12 winter123 winter2020 winter2021 winter2022 winter2023 winter2024 wolfpack wonderful
    woodland wordpass wrestling xbox3600 xxxxxxxx yamaha12 yankees1 yellow12 yosemite yourname zaq12wsx zaq1zaq1
    zaq1xsw2 zxc12345 zxcv1234 zxcvbnm1 zxcvbnm123 zxcvbnm, zxcvbnmz zzzzzzzz
    """.split()  # noqa: SIM905 - a list of words reads better without a thousand quotes
)
"""The most frequent passwords of published leaks, of eight characters or more, in lower case."""


def validate(password: str, *path: str) -> Iterator[Invalid]:
    """Problems of a new password."""
    if len(password) < MIN_PASSWORD_CHARACTERS:
        yield Invalid(
            f"A password needs at least {MIN_PASSWORD_CHARACTERS} characters.", *path, code=UserErrorCode.TOO_SHORT
        )
    elif len(password) > MAX_PASSWORD_CHARACTERS:
        yield Invalid(
            f"A password can have at most {MAX_PASSWORD_CHARACTERS:,} characters.", *path, code=UserErrorCode.TOO_LONG
        )
    elif not is_storable(password):
        yield Invalid("The password has characters that cannot be stored.", *path)
    elif _is_common(password):
        message = "This password is one of the most common: choose another."
        yield Invalid(message, *path, code=UserErrorCode.PASSWORD_TOO_COMMON)


def _is_common(password: str) -> bool:
    folded = password.strip().casefold()
    return folded in COMMON_PASSWORDS or len(set(folded)) <= 1
