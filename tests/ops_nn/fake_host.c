#include "fake_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A broken rule of the ABI, on the operator's side. */
#define RULE(condition, ...)                         \
    do {                                             \
        if (!(condition)) {                          \
            fprintf(stderr, "%s: ", test->op->name); \
            fprintf(stderr, __VA_ARGS__);            \
            fprintf(stderr, "\n");                   \
            abort();                                 \
        }                                            \
    } while (0)

static fake_case *of(const tl_node *node)
{
    return (fake_case *)(uintptr_t)node;
}

static const fake_attribute *find(const tl_node *node, const char *name, tl_attribute_kind kind,
                                  const tl_attribute_spec **spec)
{
    const fake_case *test = of(node);
    *spec = NULL;
    for (size_t i = 0; i < test->op->attribute_count; i++)
        if (strcmp(test->op->attributes[i].name, name) == 0)
            *spec = &test->op->attributes[i];
    RULE(*spec && (kind == 0 || (*spec)->kind == kind), "attribute %s is not in the schema", name);
    for (size_t i = 0; i < test->attribute_count; i++)
        if (strcmp(test->attributes[i].name, name) == 0)
            return &test->attributes[i];
    return NULL;
}

static bool attribute_given(const tl_node *node, const char *name)
{
    const tl_attribute_spec *spec;
    return find(node, name, 0, &spec) != NULL;
}

static int64_t attribute_int(const tl_node *node, const char *name)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_INT, &spec);
    return a ? a->i : spec->i;
}

static float attribute_float(const tl_node *node, const char *name)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_FLOAT, &spec);
    return a ? a->f : spec->f;
}

static const char *attribute_string(const tl_node *node, const char *name, size_t *size)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_STRING, &spec);
    const char *s = a ? a->s : spec->s;
    if (size)
        *size = s ? strlen(s) : 0;
    return s;
}

static const int64_t *attribute_ints(const tl_node *node, const char *name, size_t *count)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_INTS, &spec);
    *count = a ? a->count : 0;
    return a ? a->ints : NULL;
}

static const float *attribute_floats(const tl_node *node, const char *name, size_t *count)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_FLOATS, &spec);
    *count = a ? a->count : 0;
    return a ? a->floats : NULL;
}

static const tl_string *attribute_strings(const tl_node *node, const char *name, size_t *count)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_STRINGS, &spec);
    *count = a ? a->count : 0;
    return a ? a->strings : NULL;
}

static const tl_tensor *attribute_tensor(const tl_node *node, const char *name)
{
    const tl_attribute_spec *spec;
    const fake_attribute *a = find(node, name, TL_ATTR_TENSOR, &spec);
    return a ? a->tensor : NULL;
}

static int32_t node_version(const tl_node *node)
{
    return of(node)->version ? of(node)->version : of(node)->op->since_version;
}

/* ---- Memory. Of what an operator asks for in a run, number `refused` may be refused; the texts of such a run are
 * freed here, because no output holds them. */

#define MOST_REFUSED 6

static int asked, refused = -1;
static long live; /* allocations that are not given back */
static char *texts[MOST_REFUSED];

static bool is_refused(void)
{
    return asked++ == refused;
}

static void *take(size_t size, size_t alignment)
{
    void *memory = NULL;
    if (size > (size_t)1 << 32)
        return NULL;
    return posix_memalign(&memory, alignment < sizeof(void *) ? sizeof(void *) : alignment, size ? size : 1) == 0
               ? memory
               : NULL;
}

static void *host_alloc(const tl_host *host, size_t size, size_t alignment)
{
    (void)host;
    void *memory = is_refused() ? NULL : take(size, alignment);
    live += memory != NULL;
    return memory;
}

static void host_free(const tl_host *host, void *memory)
{
    (void)host;
    live -= memory != NULL;
    free(memory);
}

static tl_status host_fail(const tl_call *call, tl_status status, const char *format, ...)
{
    fake_case *test = of(call->node);
    va_list arguments;
    RULE(call == test->call, "failed with a call of its own");
    va_start(arguments, format);
    vsnprintf(test->message, sizeof test->message, format, arguments);
    va_end(arguments);
    return status;
}

size_t fake_bytes(const tl_tensor *tensor)
{
    static const uint8_t bits[TL_TYPE_COUNT] = {
        [TL_FLOAT] = 32,   [TL_UINT8] = 8,        [TL_INT8] = 8,           [TL_UINT16] = 16,    [TL_INT16] = 16,
        [TL_INT32] = 32,   [TL_INT64] = 64,       [TL_BOOL] = 8,           [TL_FLOAT16] = 16,   [TL_DOUBLE] = 64,
        [TL_UINT32] = 32,  [TL_UINT64] = 64,      [TL_BFLOAT16] = 16,      [TL_COMPLEX64] = 64, [TL_COMPLEX128] = 128,
        [TL_STRING] = 128, [TL_FLOAT8E4M3FN] = 8, [TL_FLOAT8E4M3FNUZ] = 8, [TL_FLOAT8E5M2] = 8, [TL_FLOAT8E5M2FNUZ] = 8,
        [TL_UINT4] = 4,    [TL_INT4] = 4,         [TL_FLOAT4E2M1] = 4,     [TL_FLOAT8E8M0] = 8, [TL_UINT2] = 2,
        [TL_INT2] = 2,     [TL_FLOAT6E2M3] = 8,   [TL_FLOAT6E3M2] = 8};
    size_t n = bits[tensor->type];
    for (int32_t i = 0; i < tensor->rank; i++)
        if (__builtin_mul_overflow(n, (size_t)tensor->dims[i], &n) || n > (size_t)1 << 34)
            return SIZE_MAX;
    n = (n + 7) / 8;
    return n;
}

static void *host_output(tl_call *call, size_t k, int32_t rank, const int64_t *dims)
{
    const fake_case *test = of(call->node);
    tl_tensor *out = call->outputs[k];
    RULE(test->running, "output() outside of run");
    RULE(out->data == NULL, "output() for an output that has memory");
    out->rank = rank;
    for (int32_t i = 0; i < rank; i++)
        out->dims[i] = dims[i];
    size_t bytes = fake_bytes(out);
    out->data = bytes == SIZE_MAX || is_refused() ? NULL : malloc(bytes ? bytes : 1);
    return out->data;
}

static char *host_string(tl_call *call, size_t size)
{
    (void)call;
    const int number = asked;
    char *text = is_refused() ? NULL : malloc(size);
    if (refused >= 0 && number < refused)
        texts[number] = text;
    return text;
}

/* Pieces from the last to the first, on changing threads, so that what depends on the cut differs. */
static void parallel_for(tl_call *call, tl_task task, void *context, int64_t range, int64_t grain)
{
    const fake_case *test = of(call->node);
    RULE(test->running, "parallel_for() outside of run");
    RULE(range >= 0 && grain > 0, "parallel_for(range %lld, grain %lld)", (long long)range, (long long)grain);
    int64_t pieces = range / grain + (range % grain != 0);
    for (int64_t i = pieces; i-- > 0;) {
        int64_t end = i == pieces - 1 ? range : (i + 1) * grain;
        task(context, i * grain, end, (int32_t)(i % call->thread_count));
    }
}

static const tl_host fake = {
    .size = sizeof(tl_host),
    .abi_version = TL_ABI_VERSION,
    .alloc = host_alloc,
    .free = host_free,
    .fail = host_fail,
    .attribute_given = attribute_given,
    .attribute_int = attribute_int,
    .attribute_float = attribute_float,
    .attribute_string = attribute_string,
    .attribute_ints = attribute_ints,
    .attribute_floats = attribute_floats,
    .attribute_strings = attribute_strings,
    .attribute_tensor = attribute_tensor,
    .node_version = node_version,
    .output = host_output,
    .string = host_string,
    .parallel_for = parallel_for,
};

static const tl_param *param(const tl_param *params, size_t count, size_t k)
{
    return k < count ? &params[k] : &params[count - 1];
}

/* Element types of the outputs, by the schema's type variables; TL_UNDEFINED where it leaves them open. */
static void type_outputs(const fake_case *test, tl_tensor *outputs, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const tl_param *out = param(test->op->outputs, test->op->output_count, k);
        memset(&outputs[k], 0, sizeof outputs[k]);
        outputs[k].rank = TL_RANK_UNKNOWN;
        for (size_t j = 0; out->type_variable && j < test->input_count; j++)
            if (test->inputs[j] &&
                param(test->op->inputs, test->op->input_count, j)->type_variable == out->type_variable)
                outputs[k].type = test->inputs[j]->type;
        if (outputs[k].type == TL_UNDEFINED && (out->types & (out->types - 1)) == 0)
            outputs[k].type = (tl_type)__builtin_ctzll(out->types);
    }
}

typedef struct frame {
    tl_call call;
    tl_tensor inputs[FAKE_MAX_PARAMS], outputs[FAKE_MAX_PARAMS];
    const tl_tensor *input_pointers[FAKE_MAX_PARAMS];
    tl_tensor *output_pointers[FAKE_MAX_PARAMS];
} frame;

enum { DATA_NONE, DATA_CONSTANT, DATA_ALL };

/* Absent ones stand for parameters that are not given, but for a variadic one. */
static size_t values(size_t given, const tl_param *params, size_t count)
{
    size_t least = count > 0 && params[count - 1].flags & TL_PARAM_VARIADIC ? count - 1 : count;
    return given > least ? given : least;
}

static void set_frame(fake_case *test, frame *f, int data)
{
    memset(f, 0, sizeof *f);
    f->call.size = sizeof f->call;
    f->call.host = &fake;
    f->call.node = (const tl_node *)(const void *)test;
    f->call.inputs = f->input_pointers;
    f->call.outputs = f->output_pointers;
    f->call.input_count = values(test->input_count, test->op->inputs, test->op->input_count);
    f->call.output_count = values(test->output_count, test->op->outputs, test->op->output_count);
    f->call.thread_count = test->threads ? test->threads : 3;
    test->call = &f->call;
    for (size_t k = 0; k < test->input_count; k++)
        if (test->inputs[k]) {
            f->inputs[k] = *test->inputs[k];
            f->input_pointers[k] = &f->inputs[k];
            if (data == DATA_NONE || (data == DATA_CONSTANT && !(test->constant >> k & 1)))
                f->inputs[k].data = NULL;
        }
    type_outputs(test, f->outputs, f->call.output_count);
    for (size_t k = 0; k < f->call.output_count; k++)
        if (!(test->absent >> k & 1) && (test->output_count == 0 || k < test->output_count))
            f->output_pointers[k] = &f->outputs[k];
}

static tl_status do_reshape(fake_case *test, tl_call *call)
{
    if (test->op->reshape)
        return test->op->reshape(call);
    call->outputs[0]->rank = call->inputs[0]->rank;
    memcpy(call->outputs[0]->dims, call->inputs[0]->dims, sizeof call->inputs[0]->dims);
    return TL_OK;
}

/* What a dimension known ahead as `ahead` says of the size: -1 is nothing. */
static tl_dim resolve(const fake_case *test, tl_dim ahead)
{
    if (ahead >= TL_DIM_UNKNOWN)
        return ahead;
    tl_dim symbol = -2 - ahead;
    RULE(symbol < FAKE_MAX_PARAMS * TL_MAX_RANK && test->inputs[symbol / TL_MAX_RANK], "made up a symbol");
    return test->inputs[symbol / TL_MAX_RANK]->dims[symbol % TL_MAX_RANK];
}

/* Reshape at load: mode 0 unknown ranks, 1 unknown dims, 2 symbols, 3 known dims. The answer may be vague, not wrong.
 */
static void check_ahead(fake_case *test, int mode, const frame *truth)
{
    frame f;
    set_frame(test, &f, mode == 3 ? DATA_CONSTANT : DATA_NONE);
    for (size_t k = 0; k < test->input_count; k++)
        for (int32_t i = 0; test->inputs[k] && i < f.inputs[k].rank && mode < 3; i++)
            f.inputs[k].dims[i] = mode == 2 ? -2 - (tl_dim)(k * TL_MAX_RANK + (size_t)i) : TL_DIM_UNKNOWN;
    for (size_t k = 0; k < test->input_count && mode == 0; k++)
        f.inputs[k].rank = TL_RANK_UNKNOWN;
    tl_status status = do_reshape(test, &f.call);
    RULE(status == TL_OK, "reshape at load, mode %d: %s", mode, test->message);
    for (size_t k = 0; k < f.call.output_count; k++) {
        const tl_tensor *real = truth->output_pointers[k], *ahead = &f.outputs[k];
        if (!real || ahead->rank == TL_RANK_UNKNOWN)
            continue;
        RULE(ahead->rank == real->rank, "mode %d: output %zu has rank %d, ahead %d", mode, k, real->rank, ahead->rank);
        RULE(ahead->type == real->type, "mode %d: output %zu has type %d, ahead %d", mode, k, real->type, ahead->type);
        for (int32_t i = 0; i < real->rank; i++) {
            tl_dim dim = resolve(test, ahead->dims[i]);
            RULE(dim == TL_DIM_UNKNOWN || dim == real->dims[i],
                 "mode %d: dimension %d of output %zu is %lld, ahead %lld", mode, i, k, (long long)real->dims[i],
                 (long long)dim);
        }
    }
}

static tl_status take_outputs(fake_case *test, frame *f)
{
    for (size_t k = 0; k < f->call.output_count; k++) {
        tl_tensor *out = f->output_pointers[k];
        if (!out)
            continue;
        RULE(out->type != TL_UNDEFINED, "output %zu has no type", k);
        bool known = out->rank >= 0;
        for (int32_t i = 0; i < out->rank; i++)
            known = known && out->dims[i] >= 0;
        if (!known)
            continue;
        size_t bytes = fake_bytes(out);
        if (bytes == SIZE_MAX)
            return TL_NO_MEMORY;
        out->data = malloc(bytes ? bytes : 1);
        memset(out->data, 0xA5, bytes);
    }
    return TL_OK;
}

static tl_status plan_and_run(fake_case *test, frame *f, void *state, uint64_t packed)
{
    set_frame(test, f, DATA_CONSTANT);
    tl_call *call = &f->call;
    for (int again = 0; again < 2; again++) { /* again: with all data, as during a run */
        call->state = state;
        for (size_t k = 0; k < test->input_count; k++)
            if (test->inputs[k])
                f->inputs[k].data = (packed >> k & 1) ? NULL : again ? test->inputs[k]->data : f->inputs[k].data;
        free(call->plan);
        if (test->op->plan_size) {
            call->plan = take(test->op->plan_size, 64);
            memset(call->plan, 0, test->op->plan_size);
        }
        call->workspace_size = 0;
        tl_status status = do_reshape(test, call);
        if (status != TL_OK)
            return status;
        bool open = false;
        for (size_t k = 0; k < call->output_count; k++) {
            const tl_tensor *out = f->output_pointers[k];
            open = open || (out && out->rank < 0);
            for (int32_t i = 0; out && i < out->rank; i++)
                open = open || out->dims[i] < 0;
        }
        if (!open) {
            for (size_t k = 0; k < test->input_count; k++)
                if (test->inputs[k])
                    f->inputs[k].data = (packed >> k & 1) ? NULL : test->inputs[k]->data;
            break;
        }
    }
    tl_status status = take_outputs(test, f);
    if (status != TL_OK)
        return status;
    call->workspace = take(call->workspace_size, 64);
    if (!call->workspace)
        return TL_NO_MEMORY;
    memset(call->workspace, 0xA5, call->workspace_size);
    if (!test->op->run) { /* a view: the same elements under another shape */
        RULE(test->op->flags & TL_OP_VIEW, "no run, and not a view");
        RULE(fake_bytes(call->inputs[0]) == fake_bytes(call->outputs[0]), "a view of another size");
        memcpy(call->outputs[0]->data, call->inputs[0]->data, fake_bytes(call->inputs[0]));
        return TL_OK;
    }
    test->running = true;
    status = test->op->run(call);
    test->running = false;
    return status;
}

static tl_status run_case(fake_case *test)
{
    frame f;
    asked = 0;
    set_frame(test, &f, DATA_CONSTANT);
    void *state = NULL;
    uint64_t packed = 0;
    test->message[0] = '\0';
    if (test->op->create) {
        tl_status status = test->op->create(&f.call);
        if (status != TL_OK) {
            RULE(f.call.state == NULL, "create failed and left a state");
            RULE(test->message[0], "create failed without a message");
            return status;
        }
        state = f.call.state;
        packed = f.call.packed;
        RULE((packed & ~test->constant) == 0, "packed what is not constant");
    }
    tl_status status = plan_and_run(test, &f, state, packed);
    RULE(status == TL_OK || status == TL_NO_MEMORY || test->message[0], "failed without a message");
    for (size_t k = 0; k < f.call.output_count && status == TL_OK; k++) {
        RULE(!f.output_pointers[k] || f.outputs[k].data, "output %zu was not made", k);
        test->outputs[k] = f.outputs[k];
    }
    for (int mode = 0; mode < 4 && status == TL_OK; mode++)
        check_ahead(test, mode, &f);
    for (size_t k = 0; k < f.call.output_count && status != TL_OK; k++)
        free(f.outputs[k].data);
    free(f.call.plan);
    free(f.call.workspace);
    if (state && test->op->destroy)
        test->op->destroy(&fake, state);
    return status;
}

/* The run ends in "no memory", keeps none, and leaves the operator fit for others. */
static void refuse(const fake_case *given, int number)
{
    fake_case again = *given, *test = &again;
    const long before = live;
    refused = number;
    tl_status status = run_case(test);
    refused = -1;
    RULE(status == TL_NO_MEMORY, "allocation %d was refused, and the status is %d", number, (int)status);
    RULE(live == before, "allocation %d was refused, and %ld are left", number, live - before);
    for (int i = 0; i < MOST_REFUSED; i++) {
        free(texts[i]);
        texts[i] = NULL;
    }
}

tl_status fake_run(fake_case *test)
{
    static const tl_operator *last;
    tl_status status = run_case(test);
    const int all = asked < MOST_REFUSED ? asked : MOST_REFUSED;
    for (int k = 0; k < all && status == TL_OK && last != test->op; k++)
        refuse(test, k);
    last = status == TL_OK ? test->op : last;
    return status;
}

void fake_free(fake_case *test)
{
    for (size_t k = 0; k < FAKE_MAX_PARAMS; k++)
        free(test->outputs[k].data);
    memset(test->outputs, 0, sizeof test->outputs);
}
