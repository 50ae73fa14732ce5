// Names of the carriers of 2013. Of any other, the page shows its code.

const NAMES = {
  "9E": "Endeavor Air", AA: "American Airlines", AS: "Alaska Airlines", B6: "JetBlue", DL: "Delta", EV: "ExpressJet", F9: "Frontier",
  FL: "AirTran", HA: "Hawaiian", MQ: "Envoy Air", OO: "SkyWest", UA: "United", US: "US Airways", VX: "Virgin America",
  WN: "Southwest", YV: "Mesa",
};

export const carrierName = (code) => NAMES[code] ?? code;
