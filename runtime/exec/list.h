/* Sequences, optionals and maps: values of a run that are no tensors. They stay inside the runtime.
 *
 * A list lives in the run's heap and never changes; operators make new lists, which share the items. The slot of such a
 * value has no shape, and its data is the list. Which values are lists is decided at load (tl_value's kind). */
#ifndef TL_LIST_H
#define TL_LIST_H

#include "graph/call.h"

typedef struct tl_list tl_list;

typedef struct tl_item {
    tl_tensor tensor;    /* with its elements in the heap, or the caller's */
    const tl_list *list; /* instead of a tensor, or NULL */
} tl_item;

struct tl_list {
    tl_kind kind; /* TL_KIND_SEQUENCE; TL_KIND_OPTIONAL: 0 or 1 item; TL_KIND_MAP: the tensors of keys and of values */
    size_t count;
    const tl_item **items;
    struct tl_room {
        const tl_item **begin, **end; /* what lists use of an array, */
        size_t before, behind;        /* and the room that is left around it */
    } * room; /* of `items`, which lists share that were made by adding to each other's ends, or taking items from
                 there; NULL: the list has all of it */
};

static inline const tl_list *tl_slot_list(const tl_tensor *slot)
{
    return slot->data;
}

/* A list with room for items, which the caller fills. NULL: refused. */
tl_list *tl_list_new(tl_arena *heap, tl_kind kind, size_t count);
/* An item that is a copy of a tensor, or refers to a list. NULL: refused. */
const tl_item *tl_item_tensor(tl_arena *heap, const tl_tensor *tensor);
const tl_item *tl_item_list(tl_arena *heap, const tl_list *list);
/* What an optional holds, as a value of this kind; NULL: it is empty, or holds something else, which types in a file
 * do not exclude. */
const tl_item *tl_optional_item(const tl_list *optional, tl_kind kind);

/* For operators. Of a call: where the run's lists live; at load, output 0 becomes a list of `element`; output 0 is this
 * list. */
tl_arena *tl_list_heap(const tl_call *call);
tl_status tl_list_set_kind(tl_call *call, tl_kind kind, const tl_type_info *element);
tl_status tl_list_give(tl_call *call, const tl_list *list);

#endif
