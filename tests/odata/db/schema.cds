namespace tidewell.shop;

using { managed } from '@sap/cds/common';

/** Orders: every type that an OData service commonly has, with and without values. */
entity Orders : managed {
  key ID        : Integer;
      customer  : String(40) not null;
      city      : String(30);
      amount    : Decimal(12, 2);
      rate      : Decimal;
      weight    : Double;
      pieces    : Int16;
      clicks    : Int64;
      paid      : Boolean;
      orderedOn : Date;
      pickupAt  : Time;
      dueAt     : DateTime;
      token     : UUID;
      photo     : Binary(64);
      note      : String;
      status    : String enum { open; shipped; returned; };
      tags      : array of String;
      address   : { street : String(60); zip : String(10); };
      items     : Composition of many Items on items.order = $self;
}

/** Items: a key of two parts. */
entity Items {
  key order    : Association to Orders;
  key position : Int16;
      article  : String(80);
      price    : Decimal(10, 2);
}

/** An entity that has no rows. */
entity Empties {
  key ID   : UUID;
      name : String(10);
}
