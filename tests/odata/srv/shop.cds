using { tidewell.shop as shop } from '../db/schema';

service Shop @(path: '/odata/v4/shop') {
  entity Orders  as projection on shop.Orders;
  entity Items   as projection on shop.Items;
  entity Empties as projection on shop.Empties;
}

/** The same behind a user and a password, or a token. */
service Closed @(path: '/odata/v4/closed', requires: 'authenticated-user') {
  entity Empties as projection on shop.Empties;
  @cds.query.limit.max: 7
  entity Items as projection on shop.Items;
}
