using { tidewell.conformance as db } from '../db/conformance';

/** What the conformance of the driver is tried on; filled from the file that CONFORMANCE names. */
service Conformance @(path: '/odata/v4/conformance') {
  entity Typed   as projection on db.Typed;
  entity Texts   as projection on db.Texts;
  entity Empties as projection on db.Empties;
  entity Paged   as projection on db.Paged;
  entity Wide    as projection on db.Wide;
  entity ![select_Größe_東京_a_name_of_more_than_sixty_three_bytes_for_sure]
    as projection on db.![select_Größe_東京_a_name_of_more_than_sixty_three_bytes_for_sure];
}
