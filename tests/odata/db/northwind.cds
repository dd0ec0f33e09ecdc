namespace tidewell.sample;

entity Customers {
  key CustomerID : String(5);
  CompanyName    : String(40);
  City           : String(15);
  Country        : String(15);
}
