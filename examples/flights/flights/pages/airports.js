// Where airports are and what time it is there: those of the data of 2013. Of any other, the page shows its code and UTC.

const CITIES_BY_ZONE = {
  "America/Anchorage": {
    ANC: "Anchorage",
  },
  "America/Chicago": {
    AUS: "Austin", BHM: "Birmingham", BNA: "Nashville", DFW: "Dallas-Fort Worth", DSM: "Des Moines", HOU: "Houston Hobby",
    IAH: "Houston", MCI: "Kansas City", MDW: "Chicago Midway", MEM: "Memphis", MKE: "Milwaukee", MSN: "Madison",
    MSP: "Minneapolis", MSY: "New Orleans", OKC: "Oklahoma City", OMA: "Omaha", ORD: "Chicago O’Hare", SAT: "San Antonio",
    STL: "St. Louis", TUL: "Tulsa", XNA: "Northwest Arkansas",
  },
  "America/Denver": {
    ABQ: "Albuquerque", BZN: "Bozeman", DEN: "Denver", EGE: "Vail-Eagle", HDN: "Steamboat Springs", JAC: "Jackson Hole",
    MTJ: "Montrose", SLC: "Salt Lake City",
  },
  "America/Los_Angeles": {
    BUR: "Burbank", LAS: "Las Vegas", LAX: "Los Angeles", LGB: "Long Beach", OAK: "Oakland", PDX: "Portland OR",
    PSP: "Palm Springs", SAN: "San Diego", SEA: "Seattle", SFO: "San Francisco", SJC: "San Jose", SMF: "Sacramento",
    SNA: "Orange County",
  },
  "America/New_York": {
    ACK: "Nantucket", ALB: "Albany", ATL: "Atlanta", AVL: "Asheville", BDL: "Hartford", BGR: "Bangor", BOS: "Boston",
    BTV: "Burlington", BUF: "Buffalo", BWI: "Baltimore", CAE: "Columbia", CAK: "Akron-Canton", CHO: "Charlottesville",
    CHS: "Charleston SC", CLE: "Cleveland", CLT: "Charlotte", CMH: "Columbus", CRW: "Charleston WV", CVG: "Cincinnati",
    DAY: "Dayton", DCA: "Washington National", DTW: "Detroit", EWR: "Newark", EYW: "Key West", FLL: "Fort Lauderdale",
    GRR: "Grand Rapids", GSO: "Greensboro", GSP: "Greenville", IAD: "Washington Dulles", ILM: "Wilmington",
    IND: "Indianapolis", JAX: "Jacksonville", JFK: "New York JFK", LEX: "Lexington", LGA: "New York LaGuardia",
    MCO: "Orlando", MHT: "Manchester", MIA: "Miami", MVY: "Martha’s Vineyard", MYR: "Myrtle Beach", ORF: "Norfolk",
    PBI: "West Palm Beach", PHL: "Philadelphia", PIT: "Pittsburgh", PVD: "Providence", PWM: "Portland ME",
    RDU: "Raleigh-Durham", RIC: "Richmond", ROC: "Rochester", RSW: "Fort Myers", SAV: "Savannah", SBN: "South Bend",
    SDF: "Louisville", SRQ: "Sarasota", SYR: "Syracuse", TPA: "Tampa", TVC: "Traverse City", TYS: "Knoxville",
  },
  "America/Phoenix": {
    PHX: "Phoenix",
  },
  "America/Puerto_Rico": {
    BQN: "Aguadilla", PSE: "Ponce", SJU: "San Juan", STT: "St. Thomas",
  },
  "Pacific/Honolulu": {
    HNL: "Honolulu",
  },
};

const AIRPORTS = new Map(
  Object.entries(CITIES_BY_ZONE).flatMap(([zone, cities]) => Object.entries(cities).map(([code, city]) => [code, { city, zone }])),
);

export const cityOf = (code) => AIRPORTS.get(code)?.city ?? code;

// The zone of an airport; UTC of one that is not known.
export const zoneOf = (code) => AIRPORTS.get(code)?.zone ?? "UTC";
