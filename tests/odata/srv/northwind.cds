using { tidewell.sample } from '../db/northwind';

/** The public sample service that the documents' tutorial reads, as far as it reads it. */
service Northwind @(path: '/V4/Northwind/Northwind.svc') {
  entity Customers as projection on sample.Customers;
}
