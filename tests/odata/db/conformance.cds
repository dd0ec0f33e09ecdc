namespace tidewell.conformance;

/** A column of each type; every one but the key may have no value. */
entity Typed {
  key ID       : Integer;
      i16      : Int16;
      i64      : Int64;
      u8       : UInt8;
      exact    : Decimal(12, 2);
      anyscale : Decimal;
      float64  : Double;
      flag     : Boolean;
      day      : Date;
      at_time  : Time;
      at_s     : DateTime;
      at_us    : Timestamp;
      token    : UUID;
      bytes    : Binary(64);
      word     : String(40);
      state    : String enum { open; shipped; };
      tags     : array of String;
}

entity Texts {
  key ID   : Integer;
      text : LargeString;
}

entity Empties {
  key ID   : UUID;
      name : String(10);
}

entity Paged {
  key ID      : Integer;
      name    : String(40);
      changed : Timestamp;
}

/** As odd as names of OData may be: letters of any script, no spaces, up to 128 characters. */
entity ![select_Größe_東京_a_name_of_more_than_sixty_three_bytes_for_sure] {
  key ![order] : Integer;
      ![Größe] : String(10);
      ![a_column_name_of_more_than_sixty_three_bytes_to_be_cut_somewhere_else] : Integer;
}

entity Wide {
  key ID : Integer;
      c000 : Integer;
      c001 : String(10);
      c002 : Integer;
      c003 : String(10);
      c004 : Integer;
      c005 : String(10);
      c006 : Integer;
      c007 : String(10);
      c008 : Integer;
      c009 : String(10);
      c010 : Integer;
      c011 : String(10);
      c012 : Integer;
      c013 : String(10);
      c014 : Integer;
      c015 : String(10);
      c016 : Integer;
      c017 : String(10);
      c018 : Integer;
      c019 : String(10);
      c020 : Integer;
      c021 : String(10);
      c022 : Integer;
      c023 : String(10);
      c024 : Integer;
      c025 : String(10);
      c026 : Integer;
      c027 : String(10);
      c028 : Integer;
      c029 : String(10);
      c030 : Integer;
      c031 : String(10);
      c032 : Integer;
      c033 : String(10);
      c034 : Integer;
      c035 : String(10);
      c036 : Integer;
      c037 : String(10);
      c038 : Integer;
      c039 : String(10);
      c040 : Integer;
      c041 : String(10);
      c042 : Integer;
      c043 : String(10);
      c044 : Integer;
      c045 : String(10);
      c046 : Integer;
      c047 : String(10);
      c048 : Integer;
      c049 : String(10);
      c050 : Integer;
      c051 : String(10);
      c052 : Integer;
      c053 : String(10);
      c054 : Integer;
      c055 : String(10);
      c056 : Integer;
      c057 : String(10);
      c058 : Integer;
      c059 : String(10);
      c060 : Integer;
      c061 : String(10);
      c062 : Integer;
      c063 : String(10);
      c064 : Integer;
      c065 : String(10);
      c066 : Integer;
      c067 : String(10);
      c068 : Integer;
      c069 : String(10);
      c070 : Integer;
      c071 : String(10);
      c072 : Integer;
      c073 : String(10);
      c074 : Integer;
      c075 : String(10);
      c076 : Integer;
      c077 : String(10);
      c078 : Integer;
      c079 : String(10);
      c080 : Integer;
      c081 : String(10);
      c082 : Integer;
      c083 : String(10);
      c084 : Integer;
      c085 : String(10);
      c086 : Integer;
      c087 : String(10);
      c088 : Integer;
      c089 : String(10);
      c090 : Integer;
      c091 : String(10);
      c092 : Integer;
      c093 : String(10);
      c094 : Integer;
      c095 : String(10);
      c096 : Integer;
      c097 : String(10);
      c098 : Integer;
      c099 : String(10);
      c100 : Integer;
      c101 : String(10);
      c102 : Integer;
      c103 : String(10);
      c104 : Integer;
      c105 : String(10);
      c106 : Integer;
      c107 : String(10);
      c108 : Integer;
      c109 : String(10);
      c110 : Integer;
      c111 : String(10);
      c112 : Integer;
      c113 : String(10);
      c114 : Integer;
      c115 : String(10);
      c116 : Integer;
      c117 : String(10);
      c118 : Integer;
      c119 : String(10);
}
