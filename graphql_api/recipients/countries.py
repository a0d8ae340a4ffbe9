"""Countries by the names used in postal addresses, and their postage."""

from __future__ import annotations

import re
import unicodedata

from graphql_api.enums import Postage

# A country on each line: the printed name, then other names.
_EUROPE = """
Albania
Andorra
Armenia
Austria|Österreich
Azerbaijan
Azores
Balearic Islands|Ibiza|Majorca|Mallorca|Menorca|Minorca
Belarus
Belgium|Belgique|België|Belgien
Bosnia and Herzegovina|Bosnia|Bosnia Herzegovina
Bulgaria
Canary Islands|Tenerife|Lanzarote|Gran Canaria|Fuerteventura
Corsica
Croatia|Hrvatska
Cyprus|Northern Cyprus
Czechia|Czech Republic|Česko
Denmark|Danmark
Estonia
Faroe Islands
Finland|Suomi
France
Georgia
Germany|Deutschland
Gibraltar
Greece|Hellas
Greenland
Hungary|Magyarország
Iceland
Ireland|Republic of Ireland|Eire|Éire|Southern Ireland
Italy|Italia
Kazakhstan
Kosovo
Kyrgyzstan
Latvia
Liechtenstein
Lithuania
Luxembourg
Madeira
Malta
Moldova
Monaco
Montenegro
Netherlands|The Netherlands|Holland|Nederland
North Macedonia|Macedonia
Norway|Norge
Poland|Polska
Portugal
Romania
Russia|Russian Federation
San Marino
Serbia
Slovakia|Slovak Republic
Slovenia
Spain|España
Sweden|Sverige
Switzerland|Schweiz|Suisse|Svizzera
Tajikistan
Turkey|Türkiye
Turkmenistan
Ukraine
Uzbekistan
Vatican City|Holy See
"""
_REST_OF_WORLD = """
Afghanistan
Algeria
American Samoa
Angola
Anguilla
Antarctica
Antigua and Barbuda|Antigua|Barbuda
Argentina
Aruba
Ascension|Ascension Island
Australia
Bahrain
Bangladesh
Barbados
Belize
Benin
Bermuda
Bhutan
Bolivia
Bonaire
Botswana
Brazil|Brasil
British Antarctic Territory
British Indian Ocean Territory
British Virgin Islands
Brunei
Burkina Faso
Burundi
Cambodia
Cameroon
Canada
Cape Verde
Cayman Islands
Central African Republic
Chad
Chile
China|People's Republic of China
Christmas Island
Cocos (Keeling) Islands|Cocos Islands
Colombia
Comoros
Congo|Republic of the Congo
Congo (Democratic Republic)|Democratic Republic of the Congo
Cook Islands
Costa Rica
Cuba
Curaçao
Djibouti
Dominica
Dominican Republic
East Timor|Timor-Leste
Ecuador
Egypt
El Salvador
Equatorial Guinea
Eritrea
Eswatini|Swaziland
Ethiopia
Falkland Islands
Fiji
French Guiana
French Polynesia|Tahiti
French Southern Territories
Gabon
Ghana
Grenada
Guadeloupe
Guam
Guatemala
Guinea
Guinea-Bissau
Guyana
Haiti
Honduras
Hong Kong
India
Indonesia
Iran
Iraq
Israel
Ivory Coast|Côte d'Ivoire
Jamaica
Japan
Jordan
Kenya
Kiribati
Kuwait
Laos
Lebanon
Lesotho
Liberia
Libya
Macao|Macau
Madagascar
Malawi
Malaysia
Maldives
Mali
Marshall Islands
Martinique
Mauritania
Mauritius
Mayotte
Mexico|México
Micronesia
Mongolia
Montserrat
Morocco
Mozambique
Myanmar (Burma)|Myanmar|Burma
Namibia
Nauru
Nepal
New Caledonia
New Zealand|Aotearoa
Nicaragua
Niger
Nigeria
Niue
Norfolk Island
North Korea
Northern Mariana Islands
Oman
Pakistan
Palau
Palestine|Occupied Palestinian Territories
Panama
Papua New Guinea
Paraguay
Peru|Perú
Philippines|The Philippines
Pitcairn Island
Puerto Rico
Qatar
Réunion
Rwanda
Saba
Saint Barthélemy
Saint Helena
Saint Pierre and Miquelon
Samoa
São Tomé and Príncipe
Saudi Arabia
Senegal
Seychelles
Sierra Leone
Singapore
Sint Eustatius
Sint Maarten|Saint Martin
Solomon Islands
Somalia
South Africa
South Georgia and South Sandwich Islands
South Korea|Korea|Republic of Korea
South Sudan
Sri Lanka
St Kitts and Nevis
St Lucia
St Vincent
Sudan
Suriname
Svalbard and Jan Mayen
Syria
Taiwan
Tanzania
Thailand
The Bahamas|Bahamas
The Gambia|Gambia
Togo
Tokelau
Tonga
Trinidad and Tobago|Trinidad|Tobago
Tristan da Cunha
Tunisia
Turks and Caicos Islands
Tuvalu
Uganda
United Arab Emirates|UAE|Dubai|Abu Dhabi
United States|United States of America|USA|US|America
United States Virgin Islands|US Virgin Islands
Uruguay
Vanuatu
Venezuela
Vietnam|Viet Nam
Wallis and Futuna
Western Sahara
Yemen
Zambia
Zimbabwe
"""
_UK = """United Kingdom|UK|GB|Great Britain|Britain|England|Scotland|Wales|Cymru|Northern Ireland
Jersey|Guernsey|Isle of Man|Alderney|Sark|Herm|Channel Islands"""


def normalise(name: str) -> str:
    """The form in which names are compared: letters without accents, without "the", with "st" for "saint"."""
    letters = unicodedata.normalize("NFKD", name.casefold().replace("&", " and "))
    words = re.findall(r"[a-z]+", "".join(letter for letter in letters if not unicodedata.combining(letter)))
    return "".join({"saint": "st"}.get(word, word) for word in words if word != "the")


def _parse_countries(source: str, postage: Postage) -> dict[str, tuple[str, Postage]]:
    lines = (line.split("|") for line in source.split("\n") if line)
    return {normalise(name): (names[0], postage) for names in lines for name in names}


COUNTRIES = _parse_countries(_REST_OF_WORLD, Postage.REST_OF_WORLD) | _parse_countries(_EUROPE, Postage.EUROPE)
"By normalised name, the printed name and the postage."
UK_NAMES = frozenset(normalise(name) for line in _UK.split("\n") for name in line.split("|"))
"Normalised names that an address within the UK may end with."
