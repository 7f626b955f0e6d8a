/* Where the values of a run lie: who shares a buffer with whom, and offsets in one arena by liveness. */
#include <stdlib.h>
#include "exec/plan.h"

#define FOREVER SIZE_MAX

typedef enum storage_kind {
    IN_ARENA,
    IN_INPUT,   /* the caller's; read only */
    IN_OUTPUT,  /* the caller's; written directly */
    IN_CONSTANT /* the model's or the plan's; read only */
} storage_kind;

typedef struct storage {
    storage_kind kind;
    size_t index;       /* of the input or output */
    size_t first, last; /* steps between which it is needed; last is FOREVER for what outlives the run */
    size_t bytes;
    size_t offset;
} storage;

/* A node of a tree over the storages, in their order, which is nearly that in time. Of those below it that have their
 * place: from when until when one of them is needed, and where the last one ends; 0: none has. */
typedef struct span {
    size_t first, last, end;
} span;

typedef struct layout {
    tl_plan *plan;
    const tl_graph *graph;
    bool keep;
    storage *storages;
    size_t count;
    size_t *of;       /* by value index: its storage, SIZE_MAX: none */
    size_t *at;       /* by value index: where in the storage it begins, bytes */
    size_t *last_use; /* by value index */
    span *spans;      /* 1 is the root, 2 n and 2 n + 1 are below n; the storages' own begin at `leaves` */
    size_t leaves;
} layout;

static size_t add_storage(layout *l, storage_kind kind, size_t index, size_t first, size_t last, size_t bytes)
{
    l->storages[l->count] = (storage){kind, index, first, last, bytes, SIZE_MAX};
    return l->count++;
}

static void find_last_uses(layout *l)
{
    for (size_t i = 0; i < l->graph->value_count; i++)
        l->last_use[i] = l->keep || l->graph->values[i]->flags & TL_VALUE_OUTPUT ? FOREVER : 0;
    for (size_t s = 0; s < l->plan->step_count; s++) {
        const tl_node *node = l->plan->steps[s].node;
        for (size_t k = 0; k < node->input_count; k++)
            if (node->inputs[k] && l->last_use[node->inputs[k]->index] != FOREVER)
                l->last_use[node->inputs[k]->index] = s;
        tl_graph *inner;
        for (size_t g = 0; (inner = tl_node_subgraph(node, g)); g++)
            for (size_t k = 0; k < inner->capture_count; k++)
                if (l->last_use[inner->captures[k]->outer->index] != FOREVER)
                    l->last_use[inner->captures[k]->outer->index] = s;
    }
    /* A step that is shaped during the run may look at any time at what a view of a planned value shows. */
    for (size_t s = 0; s < l->plan->step_count; s++) {
        const tl_node *node = l->plan->steps[s].node;
        bool may_view = l->plan->steps[s].dynamic && node->input_count && node->inputs[0];
        if (may_view)
            l->last_use[node->inputs[0]->index] = FOREVER;
    }
}

static void place_given(layout *l)
{
    const tl_graph *graph = l->graph;
    for (size_t i = 0; i < tl_graph_given_count(graph); i++)
        l->of[tl_graph_given(graph, i)->index] = add_storage(l, IN_INPUT, i, 0, FOREVER, 0);
    size_t constants = add_storage(l, IN_CONSTANT, 0, 0, FOREVER, 0);
    for (size_t i = 0; i < graph->value_count; i++)
        if (l->plan->slots[i].data)
            l->of[i] = constants;
}

/* Whether whatever else the step reads of input k's storage is the same elements, or none of them. */
static bool is_apart(const layout *l, const tl_step *step, size_t k)
{
    const tl_node *node = step->node;
    const size_t value = node->inputs[k]->index, begin = l->at[value];
    const size_t end = begin + (size_t)tl_tensor_bytes(step->frame.call.inputs[k]);
    for (size_t i = 0; i < node->input_count; i++) {
        if (!node->inputs[i] || l->of[node->inputs[i]->index] != l->of[value])
            continue;
        const size_t first = l->at[node->inputs[i]->index];
        const size_t last = first + (size_t)tl_tensor_bytes(step->frame.call.inputs[i]);
        if (!(first == begin && last == end) && first < end && begin < last)
            return false;
    }
    return true;
}

/* The input that the step's output 0 may be written over, SIZE_MAX: none. What is written begins like a storage. */
static size_t reusable(const layout *l, size_t s, const tl_tensor *out)
{
    const tl_step *step = &l->plan->steps[s];
    if (!(step->node->op->flags & TL_OP_ELEMENTWISE) || l->keep)
        return SIZE_MAX;
    int64_t elements = tl_tensor_elements(out);
    for (size_t k = 0; k < step->node->input_count; k++) {
        const tl_tensor *in = step->frame.call.inputs[k];
        if (!in || tl_type_bits(in->type) != tl_type_bits(out->type) || tl_tensor_elements(in) != elements)
            continue;
        const size_t value = step->node->inputs[k]->index, of = l->of[value];
        if (of != SIZE_MAX && l->storages[of].kind == IN_ARENA && l->storages[of].last == s &&
            l->at[value] % TL_ALIGNMENT == 0 && is_apart(l, step, k))
            return k;
    }
    return SIZE_MAX;
}

static void place_output(layout *l, size_t s, size_t k)
{
    const tl_step *step = &l->plan->steps[s];
    const tl_tensor *out = step->frame.call.outputs[k];
    const size_t value = step->node->outputs[k]->index, last = l->last_use[value];
    const bool view = step->frame.call.view;
    const size_t shared = view ? 0 : k == 0 ? reusable(l, s, out) : SIZE_MAX;
    const size_t from = shared == SIZE_MAX ? SIZE_MAX : (size_t)step->node->inputs[shared]->index;
    const size_t part = view ? (size_t)step->frame.call.parts[k] : 0;
    size_t of = from == SIZE_MAX ? SIZE_MAX : l->of[from];
    if (of == SIZE_MAX) {
        of = add_storage(l, IN_ARENA, 0, s, last < s ? s : last, (size_t)tl_tensor_bytes(out));
    } else {
        l->at[value] = l->at[from] + part;
        if (l->storages[of].last < last)
            l->storages[of].last = last;
    }
    l->of[value] = of;
    if (l->storages[of].kind == IN_CONSTANT)
        l->plan->slots[value].data = (char *)step->frame.call.inputs[0]->data + part;
}

/* Outputs go to their buffers directly where nothing else is in the way; the others are copied at the end. */
static void place_graph_outputs(layout *l)
{
    tl_plan *plan = l->plan;
    bool state = false;
    for (size_t k = 0; k < l->graph->output_count; k++)
        state |= plan->modes[k] == TL_OUTPUT_STATE;
    for (size_t k = 0; k < l->graph->output_count; k++) {
        const tl_value *value = l->graph->outputs[k];
        size_t of = l->of[value->index];
        storage *home = of == SIZE_MAX ? NULL : &l->storages[of];
        const bool all = home && home->bytes == (size_t)tl_tensor_bytes(&plan->slots[value->index]);
        if (plan->modes[k] == TL_OUTPUT_BOUND && all && home->kind == IN_ARENA && !l->keep) {
            home->kind = IN_OUTPUT;
            home->index = k;
            continue;
        }
        tl_copy copy = {k, &plan->slots[value->index], SIZE_MAX};
        bool spared = state && home && home->kind == IN_INPUT;
        if (spared)
            copy.spare = add_storage(l, IN_ARENA, 0, 0, FOREVER, (size_t)tl_tensor_bytes(copy.slot));
        if (spared || plan->modes[k] != TL_OUTPUT_OWN)
            plan->copies[plan->copy_count++] = copy;
    }
}

/* ---- Offsets: largest first, each at the lowest place that is free for as long as it is needed. */

/* Of those that are needed at the same time: among so many a gap is looked for. Above more, a storage lies on top. */
#define MOST_NEAR 512

static int by_size(const void *a, const void *b)
{
    const storage *x = *(storage *const *)a, *y = *(storage *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : x > y; /* a fixed order: the same plan everywhere */
}

static int by_offset(const void *a, const void *b)
{
    const storage *x = *(storage *const *)a, *y = *(storage *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static size_t end_of(const storage *s)
{
    return s->offset + tl_align_up(s->bytes, TL_ALIGNMENT);
}

static bool may_meet(const span *a, const storage *s)
{
    return a->end && a->first <= s->last && s->first <= a->last;
}

/* Those below `at` that are needed at the same time as `s`; counts one more than MOST_NEAR if there are more. */
static void find_near(const layout *l, size_t at, const storage *s, storage **near, size_t *count)
{
    if (*count > MOST_NEAR || !may_meet(&l->spans[at], s))
        return;
    if (at >= l->leaves) {
        if (*count < MOST_NEAR)
            near[*count] = &l->storages[at - l->leaves];
        ++*count;
        return;
    }
    find_near(l, 2 * at, s, near, count);
    find_near(l, 2 * at + 1, s, near, count);
}

/* Raises *top above all of them; a little more than it must where that would take long to see. */
static void find_top(const layout *l, size_t at, const storage *s, size_t *top, int *visits)
{
    const span *here = &l->spans[at];
    if (!may_meet(here, s) || here->end <= *top)
        return;
    if (at >= l->leaves || ++*visits > MOST_NEAR) {
        *top = here->end;
        return;
    }
    const size_t higher = 2 * at + (l->spans[2 * at + 1].end > l->spans[2 * at].end);
    find_top(l, higher, s, top, visits);
    find_top(l, higher ^ 1, s, top, visits);
}

static size_t lowest_gap(storage **near, size_t count, size_t bytes)
{
    size_t offset = 0;
    qsort(near, count, sizeof *near, by_offset);
    for (size_t i = 0; i < count; i++) {
        if (near[i]->offset >= offset && near[i]->offset - offset >= bytes)
            break;
        if (end_of(near[i]) > offset)
            offset = end_of(near[i]);
    }
    return offset;
}

static void note_place(const layout *l, const storage *s)
{
    size_t at = l->leaves + (size_t)(s - l->storages);
    for (l->spans[at] = (span){s->first, s->last, end_of(s)}; at > 1; at /= 2) {
        const span *a = &l->spans[at], *b = &l->spans[at ^ 1];
        l->spans[at / 2] = !b->end ? *a
                                   : (span){a->first < b->first ? a->first : b->first,
                                            a->last > b->last ? a->last : b->last, a->end > b->end ? a->end : b->end};
    }
}

static bool assign_offsets(const layout *l, storage **order, storage **near)
{
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++)
        if (l->storages[i].kind == IN_ARENA && l->storages[i].bytes)
            order[count++] = &l->storages[i];
        else if (l->storages[i].kind == IN_ARENA)
            l->storages[i].offset = 0;
    qsort(order, count, sizeof *order, by_size);
    for (size_t i = 0; i < count; i++) {
        storage *s = order[i];
        size_t close = 0, top = 0, end;
        int visits = 0;
        find_near(l, 1, s, near, &close);
        if (close > MOST_NEAR)
            find_top(l, 1, s, &top, &visits);
        s->offset = close > MOST_NEAR ? top : lowest_gap(near, close, s->bytes);
        if (s->bytes > PTRDIFF_MAX || !tl_add_size(s->offset, tl_align_up(s->bytes, TL_ALIGNMENT), &end) ||
            end > PTRDIFF_MAX)
            return false;
        note_place(l, s);
    }
    l->plan->arena_bytes = l->spans[1].end;
    return true;
}

/* Where a storage of the arena lies; SIZE_MAX: none. */
static size_t offset_of(const layout *l, size_t of)
{
    return of == SIZE_MAX || l->storages[of].kind != IN_ARENA ? SIZE_MAX : l->storages[of].offset;
}

static void write_back(const layout *l, const size_t *workspaces)
{
    tl_plan *plan = l->plan;
    for (size_t i = 0; i < l->graph->value_count; i++) {
        plan->offsets[i] = offset_of(l, l->of[i]);
        if (plan->offsets[i] != SIZE_MAX)
            plan->offsets[i] += l->at[i];
        if (l->of[i] == SIZE_MAX)
            continue;
        const storage *home = &l->storages[l->of[i]];
        if (home->kind == IN_INPUT || home->kind == IN_OUTPUT)
            plan->links[plan->link_count++] =
                (tl_link){&plan->slots[i], l->at[i], home->index, home->kind == IN_OUTPUT};
    }
    for (size_t s = 0; s < plan->step_count; s++)
        plan->steps[s].workspace = offset_of(l, workspaces[s]);
    for (size_t i = 0; i < plan->copy_count; i++)
        plan->copies[i].spare = offset_of(l, plan->copies[i].spare);
    /* Views have nothing to run. */
    size_t kept = 0;
    for (size_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].dynamic || !plan->steps[s].frame.call.view)
            plan->steps[kept++] = plan->steps[s];
    plan->step_count = kept;
}

tl_status tl_plan_layout(tl_plan *plan, const tl_graph *graph, bool keep, tl_error *error)
{
    tl_arena scratch;
    tl_arena_init(&scratch, plan->memory.allocator, 0);
    size_t most = graph->value_count + tl_graph_given_count(graph) + graph->output_count + plan->step_count + 1;
    layout l = {.plan = plan, .graph = graph, .keep = keep, .leaves = 1};
    while (l.leaves < most)
        l.leaves *= 2;
    l.spans = TL_NEW(&scratch, span, 2 * l.leaves);
    l.storages = TL_NEW(&scratch, storage, most);
    l.of = TL_NEW(&scratch, size_t, graph->value_count);
    l.at = TL_NEW(&scratch, size_t, graph->value_count);
    l.last_use = TL_NEW(&scratch, size_t, graph->value_count);
    size_t *workspaces = TL_NEW(&scratch, size_t, plan->step_count);
    storage **order = TL_NEW(&scratch, storage *, 2 * most);
    plan->links = TL_NEW(&plan->memory, tl_link, graph->value_count);
    plan->copies = TL_NEW(&plan->memory, tl_copy, graph->output_count);
    bool fine =
        l.spans && l.storages && l.of && l.at && l.last_use && workspaces && order && plan->links && plan->copies;
    if (fine) {
        memset(l.of, 0xff, graph->value_count * sizeof *l.of);
        find_last_uses(&l);
        place_given(&l);
        for (size_t s = 0; s < plan->step_count; s++) {
            const tl_step *step = &plan->steps[s];
            for (size_t k = 0; k < step->node->output_count && !step->dynamic; k++)
                if (step->node->outputs[k])
                    place_output(&l, s, k);
            size_t bytes = step->dynamic ? 0 : step->frame.call.workspace_size;
            workspaces[s] = bytes ? add_storage(&l, IN_ARENA, 0, s, s, bytes) : SIZE_MAX;
        }
        place_graph_outputs(&l);
        fine = assign_offsets(&l, order, order + most);
        if (fine)
            write_back(&l, workspaces);
    }
    tl_arena_free(&scratch);
    return fine ? TL_OK : tl_error_no_memory(error);
}
