#include <math.h>
#include <stdlib.h>
#include "cli.h"
#include "json.h"

cli_json cli_json_new(void)
{
    cJSON *root = cJSON_CreateObject();
    return (cli_json){root, !root};
}

void cli_json_free(cli_json *json)
{
    cJSON_Delete(json->root);
    *json = (cli_json){NULL, false};
}

static cJSON *add(cli_json *json, cJSON *to, const char *name, cJSON *item)
{
    bool added = to && item && (name ? cJSON_AddItemToObject(to, name, item) : cJSON_AddItemToArray(to, item));
    if (added)
        return item;
    cJSON_Delete(item);
    json->failed = true;
    return NULL;
}

cJSON *cli_json_object(cli_json *json, cJSON *to, const char *name)
{
    return add(json, to, name, cJSON_CreateObject());
}

cJSON *cli_json_array(cli_json *json, cJSON *to, const char *name)
{
    return add(json, to, name, cJSON_CreateArray());
}

/* Bytes of the valid sequence at `c`, or 0. */
static size_t sequence_length(const unsigned char *c)
{
    size_t length = c[0] < 0x80                    ? 1
                    : c[0] >= 0xc2 && c[0] <= 0xdf ? 2
                    : (c[0] & 0xf0) == 0xe0        ? 3
                    : c[0] >= 0xf0 && c[0] <= 0xf4 ? 4
                                                   : 0;
    for (size_t k = 1; k < length; k++)
        if ((c[k] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c[0] == 0xe0 && c[1] < 0xa0) || (c[0] == 0xf0 && c[1] < 0x90);
    bool surrogate = c[0] == 0xed && c[1] > 0x9f;
    bool too_large = c[0] == 0xf4 && c[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : length;
}

char *cli_utf8(const char *text, char *buffer, size_t size)
{
    size_t used = 0;
    while (*text) {
        size_t length = sequence_length((const unsigned char *)text);
        if (used + (length ? length : 1) >= size)
            break;
        if (length)
            memcpy(buffer + used, text, length);
        else
            buffer[used] = '?';
        used += length ? length : 1;
        text += length ? length : 1;
    }
    if (size)
        buffer[used] = 0;
    return buffer;
}

void cli_json_text(cli_json *json, cJSON *to, const char *name, const char *text)
{
    if (!text) {
        add(json, to, name, cJSON_CreateNull());
        return;
    }
    size_t size = strlen(text) + 1;
    char *clean = malloc(size);
    if (!clean) {
        json->failed = true;
        return;
    }
    add(json, to, name, cJSON_CreateString(cli_utf8(text, clean, size)));
    free(clean);
}

void cli_json_number(cli_json *json, cJSON *to, const char *name, double number)
{
    add(json, to, name, isfinite(number) ? cJSON_CreateNumber(number) : cJSON_CreateNull());
}

void cli_json_seconds(cli_json *json, cJSON *to, const char *name, double seconds)
{
    cli_json_number(json, to, name, round(seconds * 1e9) / 1e3);
}

tl_status cli_json_write(const cli_json *json, const char *path, tl_error *error)
{
    char *text = json->failed ? NULL : cJSON_Print(json->root);
    if (!text)
        return tl_error_no_memory(error);
    tl_status status = TL_OK;
    if (strcmp(path, "-") == 0) {
        puts(text);
    } else {
        FILE *file = cli_create(path, error);
        if (file) {
            fprintf(file, "%s\n", text);
            status = cli_close(file, path, error);
        } else {
            status = TL_IO;
        }
    }
    cJSON_free(text);
    return status;
}
