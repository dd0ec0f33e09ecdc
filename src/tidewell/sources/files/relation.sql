-- What DuckDB is asked about files. `$files` is a list of paths that have been checked.

-- name: utc
-- Times without a zone are never taken for this machine's.
SET GLOBAL TimeZone = 'UTC';

-- name: uncached
-- What was read of a file is read anew: one of the same size and time can be another.
SET GLOBAL enable_external_file_cache = false;

-- name: allow
-- The only folders that DuckDB may open anything in.
SET allowed_directories = $folders;

-- name: shut
-- No other file, no network, no extension that is not built in.
SET enable_external_access = false;

-- name: lock
-- None of the above can be undone.
SET lock_configuration = true;

-- name: csv_dialect
-- How a CSV file is written.
SELECT "Delimiter", "Quote", "Escape"
  FROM sniff_csv($file, header = $header, max_line_size = 16777216, buffer_size = 33554432);

-- name: csv_sniffed
-- With the types that hold every value of the whole file.
SELECT *
  FROM read_csv($files, delim = $delim, quote = $quote, escape = $escape, header = $header,
                nullstr = $nulls, allow_quoted_nulls = false, union_by_name = true,
                sample_size = -1, max_line_size = 16777216, buffer_size = 33554432);

-- name: csv_as_text
-- The same, every value as it is written.
SELECT *
  FROM read_csv($files, delim = $delim, quote = $quote, escape = $escape, header = $header,
                nullstr = $nulls, allow_quoted_nulls = false, union_by_name = true,
                all_varchar = true, max_line_size = 16777216, buffer_size = 33554432);

-- name: csv
-- With types that were found before.
SELECT *
  FROM read_csv($files, delim = $delim, quote = $quote, escape = $escape, header = $header,
                nullstr = $nulls, allow_quoted_nulls = false, union_by_name = true, filename = '__tidewell_file',
                types = $types, dateformat = $dates, max_line_size = 16777216,
                buffer_size = 33554432);

-- name: json
-- JSON lines, or an array of objects, with the types of the whole file.
SELECT *
  FROM read_json($files, format = 'auto', union_by_name = true, sample_size = -1,
                 filename = '__tidewell_file', maximum_object_size = 67108864);

-- name: json_known
-- The same, with types that were found before.
SELECT *
  FROM read_json($files, format = 'auto', columns = $types, filename = '__tidewell_file',
                 maximum_object_size = 67108864);

-- name: parquet
-- Parquet files, which know their own types.
SELECT *
  FROM read_parquet($files, union_by_name = true, hive_partitioning = false,
                    filename = '__tidewell_file');

-- name: parquet_scan
-- The same for a query's own DuckDB, which is handed these files and no other.
SELECT {values} FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false);

-- name: excel
-- A sheet, with the types of its first row; a cell of another type is NULL.
SELECT *, $file AS __tidewell_file
  FROM read_xlsx($file, sheet = $sheet, header = $header, stop_at_empty = false,
                 ignore_errors = true);

-- name: excel_as_text
-- The same, every cell as text.
SELECT *
  FROM read_xlsx($file, sheet = $sheet, header = $header, stop_at_empty = false,
                 all_varchar = true);

-- name: excel_side_by_side
-- Both at once: the row of the one is the row of the other.
SELECT {columns}
  FROM ({typed}) AS typed POSITIONAL JOIN ({text}) AS text;

-- name: excel_rows
-- A sheet without its empty rows, which DuckDB gives too: else it would end at the first of them.
SELECT * FROM ({sheet}) AS sheet WHERE {holds_something};

-- name: lost_cell
-- Whether a column of a sheet has a cell that its type does not hold.
bool_or(typed.{column} IS NULL AND text.{column} IS NOT NULL);

-- name: of_files
-- The rows of some of the files.
SELECT * FROM ({relation}) AS rows WHERE {file} IN ({kept});

-- name: with_times
-- The rows, and when the file of each was last changed.
SELECT rows.*, times.modified AS _modified
  FROM ({relation}) AS rows
  JOIN (SELECT unnest($times_of) AS file, CAST(unnest($times) AS TIMESTAMPTZ) AS modified) AS times
    ON rows.__tidewell_file = times.file;

-- name: with_time
-- The rows of one file, and when it was last changed.
SELECT rows.*, CAST($time AS TIMESTAMPTZ) AS _modified FROM ({relation}) AS rows;

-- name: load
-- An extension from its wheel; the path is ours.
LOAD {path};

-- name: describe
-- The columns of a relation.
DESCRIBE {relation};

-- name: leading_zero
-- A number that begins with a zero is no number: a postcode, an account.
bool_or(regexp_matches({column}, '^\s*[+-]?0[0-9]'));

-- name: many_digits
-- More digits than a double keeps.
bool_or(length({column}) > 15
        AND length(ltrim(regexp_replace(regexp_replace({column}, '[eE].*$', ''), '[^0-9]', '', 'g'), '0')) > 15);

-- name: no_year_first
-- A date that does not begin with its year: day and month may stand in either order.
bool_or(NOT regexp_matches({column}, '^[0-9]{{4}}'));

-- name: date_parts
-- How such dates are written: all in one form or not, and what shows the order.
struct_pack(
    in_one_form := bool_and(regexp_matches({column}, '^[0-9]{{1,2}}[-/.][0-9]{{1,2}}[-/.][0-9]{{4}}($|[ T])')),
    least_sign := min(regexp_extract({column}, '[-/.]')),
    greatest_sign := max(regexp_extract({column}, '[-/.]')),
    first := max(TRY_CAST(regexp_extract({column}, '^[0-9]+') AS INTEGER)),
    second := max(TRY_CAST(regexp_extract({column}, '^[0-9]+[-/.]([0-9]+)', 1) AS INTEGER)),
    some_half_days := bool_or(regexp_matches({column}, '[AaPp][Mm]$')),
    all_half_days := bool_and(regexp_matches({column}, '[AaPp][Mm]$')));

-- name: answers
-- What is to be known of a file's columns, in one pass over it.
SELECT {answers} FROM ({relation}) AS files;

-- name: types
-- The Arrow types that DuckDB gives its own.
SELECT {casts};

-- name: selection
-- The rows of a request.
SELECT {values} FROM ({relation}) AS files WHERE {conditions};

-- name: limited_selection
-- The first ones of them.
SELECT {values} FROM ({relation}) AS files WHERE {conditions} LIMIT {limit};
