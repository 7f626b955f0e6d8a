#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include "element.h"
#include "inputs.h"
#include "program.h"

/* ---- --dim */

int cli_dims_check_form(const cli_options *options, const char *command)
{
    for (size_t k = 0; k < options->dims.count; k++) {
        size_t length;
        int64_t value;
        if (!cli_parse_dim(options->dims.items[k], &length, &value))
            return cli_wrong_usage(command, "--dim takes NAME=N with N a whole number >= 0, not '%s'",
                                   options->dims.items[k]);
    }
    return CLI_OK;
}

bool cli_dims_find(const cli_options *options, const char *name, int64_t *size)
{
    for (size_t k = options->dims.count; name && k-- > 0;) { /* the last one counts */
        size_t length;
        int64_t value;
        const char *text = options->dims.items[k];
        if (cli_parse_dim(text, &length, &value) && strlen(name) == length && memcmp(text, name, length) == 0) {
            *size = value;
            return true;
        }
    }
    return false;
}

/* Calls it for each named symbol of the inputs; a symbol may come several times. */
static bool for_each_symbol(const tl_session *session, bool (*visit)(void *user, const char *name), void *user)
{
    tl_value_info info;
    for (size_t i = 0; tl_session_input(session, i, &info); i++)
        for (int32_t d = 0; d < info.tensor.rank; d++) {
            const char *name = info.tensor.dims[d] < 0 ? tl_session_symbol(session, info.tensor.dims[d]) : NULL;
            if (name && visit(user, name))
                return true;
        }
    return false;
}

typedef struct wanted_name {
    const char *text;
    size_t length;
} wanted_name;

static bool is_wanted(void *user, const char *name)
{
    const wanted_name *wanted = user;
    return strlen(name) == wanted->length && memcmp(name, wanted->text, wanted->length) == 0;
}

typedef struct name_list {
    char text[512];
    size_t used;
} name_list;

static bool list_name(void *user, const char *name)
{
    name_list *list = user;
    const char *found = strstr(list->text, name);
    size_t length = strlen(name);
    if (found && (found[length] == ',' || !found[length]) && (found == list->text || found[-1] == ' '))
        return false;
    int more = snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s", list->used ? ", " : "", name);
    if (more > 0 && list->used + (size_t)more < sizeof list->text)
        list->used += (size_t)more;
    else
        list->text[list->used] = 0;
    return false;
}

tl_status cli_dims_check_names(const cli_options *options, const tl_session *session, tl_error *error)
{
    for (size_t k = 0; k < options->dims.count; k++) {
        wanted_name wanted = {.text = options->dims.items[k]};
        int64_t value;
        cli_parse_dim(wanted.text, &wanted.length, &value);
        if (for_each_symbol(session, is_wanted, &wanted))
            continue;
        name_list list = {.used = 0};
        for_each_symbol(session, list_name, &list);
        return tl_error_set(error, TL_INVALID_INPUT,
                            "--dim: the model's inputs have no symbolic dimension '%.*s'; they have %s",
                            (int)wanted.length, wanted.text, list.used ? list.text : "none");
    }
    return TL_OK;
}

/* ---- -i */

/* Which input an argument of -i means, and where the file's name begins in it. */
static tl_status find_input(const cli_inputs *inputs, const tl_session *session, const char *argument, size_t *index,
                            const char **path, tl_error *error)
{
    tl_value_info info;
    size_t best = 0; /* of several names that fit, the longest: names may hold '=' */
    for (size_t i = 0; tl_session_input(session, i, &info); i++) {
        size_t length = strlen(info.name);
        if (length >= best && strncmp(argument, info.name, length) == 0 && argument[length] == '=') {
            best = length + 1;
            *index = i;
            *path = argument + length + 1;
        }
    }
    if (best && !**path)
        return tl_error_set(error, TL_INVALID_INPUT, "-i %s: the file's name is missing", argument);
    if (best)
        return TL_OK;
    const char *equals = strchr(argument, '=');
    if (equals && access(argument, F_OK) != 0) {
        name_list list = {.used = 0};
        for (size_t i = 0; tl_session_input(session, i, &info); i++)
            list_name(&list, info.name);
        return tl_error_set(error, TL_INVALID_INPUT, "-i %s: the model has no input '%.*s'; its inputs are %s",
                            argument, (int)(equals - argument), argument, list.used ? list.text : "none");
    }
    *path = argument;
    for (*index = 0; *index < inputs->count && inputs->paths[*index]; ++*index)
        ;
    if (*index == inputs->count)
        return tl_error_set(error, TL_INVALID_INPUT, "-i %s: the model has only %zu input%s", argument, inputs->count,
                            inputs->count == 1 ? "" : "s");
    return TL_OK;
}

static tl_status read_files(cli_inputs *inputs, const tl_session *session, const cli_options *options, bool named,
                            tl_error *error)
{
    for (size_t k = 0; k < options->inputs.count; k++) {
        size_t index = 0;
        const char *path = NULL;
        tl_status status = find_input(inputs, session, options->inputs.items[k], &index, &path, error);
        if (status != TL_OK)
            return status;
        bool by_name = path != options->inputs.items[k];
        if (by_name != named)
            continue;
        tl_value_info info;
        tl_session_input(session, index, &info);
        if (inputs->paths[index])
            return tl_error_set(error, TL_INVALID_INPUT, "input '%s' is given twice, as %s and %s", info.name,
                                inputs->paths[index], path);
        status = cli_value_read(path, info.kind, &inputs->values[index], error);
        if (status != TL_OK)
            return status;
        inputs->paths[index] = path;
    }
    return TL_OK;
}

static tl_status report_missing(const cli_inputs *inputs, const tl_session *session, tl_error *error)
{
    char list[800] = "";
    size_t used = 0, missing = 0;
    tl_value_info info;
    for (size_t i = 0; tl_session_input(session, i, &info); i++) {
        if (inputs->paths[i])
            continue;
        missing++;
        char type[400], item[600];
        snprintf(item, sizeof item, "%s'%.150s' %s", missing > 1 ? ", " : "", info.name,
                 cli_describe_info(session, &info, type, sizeof type));
        if (used + strlen(item) + 5 < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s", item);
        else if (used < sizeof list - 5) {
            snprintf(list + used, sizeof list - used, ", ...");
            used = sizeof list;
        }
    }
    if (missing == 0)
        return TL_OK;
    return tl_error_set(error, TL_INVALID_INPUT, "missing input%s: %s; give -i FILE for each, or --random SEED",
                        missing == 1 ? "" : "s", list);
}

/* The tensor from a file that is input i, of as many axes as the model has there; NULL: there is none. */
static const tl_tensor *given_tensor(const cli_inputs *inputs, const tl_session *session, size_t i, tl_value_info *info)
{
    const cli_value *value = &inputs->values[i];
    if (!inputs->paths[i] || value->content.kind != TL_KIND_TENSOR || !tl_session_input(session, i, info) ||
        value->content.tensor.rank != info->tensor.rank)
        return NULL;
    return &value->content.tensor;
}

/* ---- --random */

/* The size of a dimension that is not given: as an input from a file has it, as --dim says, or 1. */
static int64_t choose_dim(const cli_inputs *inputs, const tl_session *session, const cli_options *options, tl_dim dim)
{
    tl_value_info info;
    int64_t size;
    if (cli_dims_find(options, tl_session_symbol(session, dim), &size))
        return size;
    const size_t most = dim != TL_DIM_UNKNOWN && options->inputs.count > 0 ? inputs->count : 0;
    for (size_t i = 0; i < most; i++) {
        const tl_tensor *given = given_tensor(inputs, session, i, &info);
        for (int32_t d = 0; given && d < given->rank; d++)
            if (info.tensor.dims[d] == dim)
                return given->dims[d];
    }
    return 1;
}

static tl_status make_value(cli_inputs *inputs, const tl_session *session, const cli_options *options, size_t index,
                            cli_random *random, tl_error *error)
{
    tl_value_info info;
    tl_session_input(session, index, &info);
    char type[400];
    if (info.kind != TL_KIND_TENSOR || info.tensor.rank == TL_RANK_UNKNOWN || info.tensor.type == TL_UNDEFINED)
        return tl_error_set(error, TL_INVALID_INPUT, "input '%.150s' is %s, which cannot be made up; give it with -i",
                            info.name, cli_describe_info(session, &info, type, sizeof type));
    tl_tensor tensor = info.tensor;
    for (int32_t d = 0; d < tensor.rank; d++)
        if (tensor.dims[d] < 0)
            tensor.dims[d] = choose_dim(inputs, session, options, tensor.dims[d]);
    int64_t bytes = tl_tensor_bytes(&tensor);
    if (bytes < 0)
        return tl_error_set(error, TL_NO_MEMORY, "input '%.150s': the size of %s overflows", info.name,
                            tl_tensor_describe(&tensor, NULL, NULL, type, sizeof type));
    tensor.data = calloc(1, bytes ? (size_t)bytes : 1);
    if (!tensor.data)
        return tl_error_set(error, TL_NO_MEMORY, "input '%.150s': no memory for the %" PRId64 " bytes of %s", info.name,
                            bytes, tl_tensor_describe(&tensor, NULL, NULL, type, sizeof type));
    cli_random_fill(random, tensor.type, tensor.data, tl_tensor_elements(&tensor));
    inputs->values[index] =
        (cli_value){.content = {.kind = TL_KIND_TENSOR, .name = info.name, .tensor = tensor}, .memory = tensor.data};
    return TL_OK;
}

static tl_status make_missing(cli_inputs *inputs, const tl_session *session, const cli_options *options,
                              tl_error *error)
{
    cli_random random = {options->random.given ? (uint64_t)options->random.value : 0};
    tl_status status = TL_OK;
    for (size_t i = 0; i < inputs->count && status == TL_OK; i++)
        if (!inputs->paths[i])
            status = make_value(inputs, session, options, i, &random, error);
    return status;
}

/* ---- All together */

/* Whether --dim says of symbols what the inputs that are given have there. */
static tl_status check_dims(const cli_inputs *inputs, const tl_session *session, const cli_options *options,
                            tl_error *error)
{
    tl_value_info info;
    int64_t size;
    for (size_t i = 0; i < inputs->count; i++) {
        const tl_tensor *given = given_tensor(inputs, session, i, &info);
        for (int32_t d = 0; given && d < given->rank; d++) {
            const char *name = info.tensor.dims[d] < 0 ? tl_session_symbol(session, info.tensor.dims[d]) : NULL;
            if (cli_dims_find(options, name, &size) && size != given->dims[d])
                return tl_error_set(error, TL_INVALID_INPUT,
                                    "--dim %.100s=%" PRId64 ": input '%.150s' from %.300s has %" PRId64 " there", name,
                                    size, info.name, inputs->paths[i], given->dims[d]);
        }
    }
    return TL_OK;
}

static tl_status allocate(cli_inputs *inputs, const tl_session *session, tl_error *error)
{
    size_t count = tl_session_input_count(session);
    *inputs = (cli_inputs){.count = count};
    inputs->values = calloc(count + 1, sizeof inputs->values[0]);
    inputs->paths = calloc(count + 1, sizeof inputs->paths[0]);
    return inputs->values && inputs->paths ? TL_OK : tl_error_no_memory(error);
}

tl_status cli_inputs_load(cli_inputs *inputs, const tl_session *session, const cli_options *options, tl_error *error)
{
    tl_status status = allocate(inputs, session, error);
    if (status == TL_OK)
        status = cli_dims_check_names(options, session, error);
    if (status == TL_OK) /* first those with a name, so that the others take the places that are left */
        status = read_files(inputs, session, options, true, error);
    if (status == TL_OK)
        status = read_files(inputs, session, options, false, error);
    if (status == TL_OK)
        status = check_dims(inputs, session, options, error);
    if (status == TL_OK)
        status = options->random.given ? make_missing(inputs, session, options, error)
                                       : report_missing(inputs, session, error);
    if (status != TL_OK)
        cli_inputs_free(inputs);
    return status;
}

tl_status cli_inputs_make(cli_inputs *inputs, const tl_session *session, const cli_options *options, tl_error *error)
{
    tl_status status = allocate(inputs, session, error);
    if (status == TL_OK)
        status = cli_dims_check_names(options, session, error);
    if (status == TL_OK)
        status = make_missing(inputs, session, options, error);
    if (status != TL_OK)
        cli_inputs_free(inputs);
    return status;
}

tl_status cli_inputs_bind(const cli_inputs *inputs, tl_context *context, tl_error *error)
{
    for (size_t i = 0; i < inputs->count; i++) {
        tl_status status = cli_value_set(context, i, &inputs->values[i], error);
        if (status != TL_OK && inputs->paths[i])
            tl_error_prefix(error, "%.300s", inputs->paths[i]);
        if (status != TL_OK)
            return status;
    }
    return TL_OK;
}

void cli_inputs_free(cli_inputs *inputs)
{
    for (size_t i = 0; inputs->values && i < inputs->count; i++)
        cli_value_free(&inputs->values[i]);
    free(inputs->values);
    free(inputs->paths);
    *inputs = (cli_inputs){0};
}
