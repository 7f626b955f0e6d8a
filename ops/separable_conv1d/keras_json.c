/* Keras' objects in JSON, and their arguments. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "separable_conv1d/keras.h"

const char *keras_quote(const cJSON *item, char buffer[64])
{
    if (cJSON_IsString(item)) {
        size_t n = 0;
        buffer[n++] = '\'';
        for (const char *c = item->valuestring; *c && n < 48; c++)
            buffer[n++] = (unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f ? *c : '?';
        buffer[n++] = '\'';
        buffer[n] = 0;
    } else if (cJSON_IsNumber(item)) {
        snprintf(buffer, 64, "%.17g", item->valuedouble);
    } else {
        const char *what = item == NULL          ? "missing"
                           : cJSON_IsNull(item)  ? "null"
                           : cJSON_IsBool(item)  ? (cJSON_IsTrue(item) ? "true" : "false")
                           : cJSON_IsArray(item) ? "a list"
                                                 : "an object";
        snprintf(buffer, 64, "%s", what);
    }
    return buffer;
}

bool keras_is_integer(const cJSON *item, int64_t *integer)
{
    if (!cJSON_IsNumber(item) || fabs(item->valuedouble) > 9007199254740992.0 ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *integer = (int64_t)item->valuedouble;
    return true;
}

bool keras_is_one_of(const char *text, const char *words)
{
    const size_t length = strlen(text);
    for (const char *word = words; *word;) {
        const size_t size = strcspn(word, " ");
        if (size == length && memcmp(word, text, size) == 0)
            return true;
        word += size + (word[size] == ' ');
    }
    return false;
}

/* "keras.initializers" and the like; functions are Python's "builtins". */
static bool is_own_module(const char *module)
{
    static const char *const own[] = {"keras", "tf_keras", "builtins"};
    const size_t length = strcspn(module, ".");
    for (size_t k = 0; k < sizeof own / sizeof *own; k++)
        if (strlen(own[k]) == length && memcmp(own[k], module, length) == 0)
            return true;
    return false;
}

tl_status keras_object_read(const cJSON *item, int version, keras_object *object, sepconv_text *why)
{
    char text[64];
    *object = (keras_object){.version = version};
    if (item == NULL || cJSON_IsNull(item))
        return TL_OK;
    object->class_name = cJSON_GetStringValue(item);
    if (object->class_name != NULL)
        return TL_OK;
    if (cJSON_IsObject(item))
        object->class_name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "class_name"));
    if (object->class_name == NULL)
        return sepconv_fail(why, TL_INVALID_INPUT,
                            "%s cannot be interpreted: it is neither a name nor an object with a class_name",
                            keras_quote(item, text));
    const cJSON *module = cJSON_GetObjectItemCaseSensitive(item, "module");
    const char *module_name = cJSON_GetStringValue(module);
    if (module_name != NULL && !is_own_module(module_name))
        return sepconv_fail(why, TL_INVALID_INPUT, "%.60s of the module %s is none of Keras' own", object->class_name,
                            keras_quote(module, text));
    object->config = cJSON_GetObjectItemCaseSensitive(item, "config");
    if (cJSON_IsNull(object->config))
        object->config = NULL;
    /* A function is written as {"class_name": "function", "config": "relu"}. */
    const char *function = cJSON_GetStringValue(object->config);
    if (function != NULL && strcmp(object->class_name, "function") == 0) {
        object->class_name = function;
        object->config = NULL;
    }
    if (object->config != NULL && !cJSON_IsObject(object->config))
        return sepconv_fail(why, TL_INVALID_INPUT, "the config of %.60s is %s, not an object", object->class_name,
                            cJSON_IsArray(object->config) ? "a list" : "a value");
    return TL_OK;
}

tl_status keras_check_arguments(const keras_object *object, const char *words, const char *more, sepconv_text *why)
{
    const cJSON *member = NULL;
    cJSON_ArrayForEach(member, object->config)
    {
        cJSON name = {.type = cJSON_String, .valuestring = member->string};
        char text[64];
        if (!keras_is_one_of(member->string, words) && !keras_is_one_of(member->string, more))
            return sepconv_fail(why, TL_INVALID_INPUT, "%.40s has no argument %s", object->class_name,
                                keras_quote(&name, text));
    }
    return TL_OK;
}

static const cJSON *find_argument(const keras_object *object, const char *name)
{
    return object->config != NULL ? cJSON_GetObjectItemCaseSensitive(object->config, name) : NULL;
}

tl_status keras_number(const keras_object *object, const char *name, double standard, const double *none,
                       double *number, sepconv_text *why)
{
    char text[64];
    const cJSON *item = find_argument(object, name);
    *number = standard;
    if (item == NULL)
        return TL_OK;
    if (cJSON_IsNull(item) && none != NULL)
        *number = *none;
    else if (cJSON_IsNumber(item) && isfinite(item->valuedouble))
        *number = item->valuedouble;
    else
        return sepconv_fail(why, TL_INVALID_INPUT, "'%s' of %.40s is %s, must be a finite number", name,
                            object->class_name, keras_quote(item, text));
    return TL_OK;
}

tl_status keras_text(const keras_object *object, const char *name, const char *standard, const char **text,
                     sepconv_text *why)
{
    char quoted[64];
    const cJSON *item = find_argument(object, name);
    *text = item == NULL ? standard : item->valuestring;
    if (item == NULL || cJSON_IsString(item))
        return TL_OK;
    return sepconv_fail(why, TL_INVALID_INPUT, "'%s' of %.40s is %s, must be text", name, object->class_name,
                        keras_quote(item, quoted));
}

tl_status keras_axes_read(const keras_object *object, const char *name, keras_axes *axes, sepconv_text *why)
{
    char text[64];
    const cJSON *item = find_argument(object, name), *element = NULL;
    *axes = (keras_axes){.given = false};
    if (item == NULL || cJSON_IsNull(item))
        return TL_OK;
    axes->given = true;
    if (keras_is_integer(item, &axes->axes[0])) {
        axes->count = 1;
        return TL_OK;
    }
    bool fine = cJSON_IsArray(item);
    const cJSON *list = fine ? item : NULL;
    cJSON_ArrayForEach(element, list)
    {
        fine = fine && axes->count < sizeof axes->axes / sizeof *axes->axes &&
               keras_is_integer(element, &axes->axes[axes->count]);
        axes->count += fine;
    }
    if (fine)
        return TL_OK;
    return sepconv_fail(why, TL_INVALID_INPUT, "'%s' of %.40s is %s, must be an axis or a list of axes", name,
                        object->class_name, keras_quote(item, text));
}
