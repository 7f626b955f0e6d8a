/* Machine-readable results, by cJSON: one flag for all refused memory, text that is always valid UTF-8. */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <cjson/cJSON.h>
#include "base/base.h"

/* A document being built. Functions that get or give NULL nodes go on; what is missing is reported when it is written.
 */
typedef struct cli_json {
    cJSON *root; /* an object */
    bool failed; /* memory was refused */
} cli_json;

cli_json cli_json_new(void);
void cli_json_free(cli_json *json);

/* Adds to `to`, an object (with a name) or an array (name NULL). Objects and arrays are returned, to be filled. */
cJSON *cli_json_object(cli_json *json, cJSON *to, const char *name);
cJSON *cli_json_array(cli_json *json, cJSON *to, const char *name);
void cli_json_text(cli_json *json, cJSON *to, const char *name, const char *text);  /* NULL: null */
void cli_json_number(cli_json *json, cJSON *to, const char *name, double number);   /* not finite: null */
void cli_json_seconds(cli_json *json, cJSON *to, const char *name, double seconds); /* as microseconds, to 1 ns */

/* Writes the document to a file, or to standard output for "-". */
tl_status cli_json_write(const cli_json *json, const char *path, tl_error *error);

/* Copies bytes, at most size - 1; what is not UTF-8 becomes '?'. Returns buffer. */
char *cli_utf8(const char *text, char *buffer, size_t size);

#endif
