/* A loaded graph with shapes, as `inspect` shows it in its three forms. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include "cost.h"
#include "exec/inspect.h"
#include "exec/strips.h"
#include "json.h"
#include "options.h"

typedef struct cli_view {
    const char *path;
    tl_session *session;
    const tl_graph *graph;
    tl_plan *plan;          /* NULL: there is none, `why_no_plan` says why */
    size_t arena_bytes;     /* of a run, if there is a plan */
    tl_strips_facts strips; /* count 0: it is not run in strips */
    size_t whole_bytes;     /* of the arena, if it were not */
    cli_shapes planned;     /* shapes for the sizes chosen; as known at load where there is no plan */
    cli_shapes shown;       /* shapes to print: with symbols unless sizes were given */
    char sizes[512];        /* "N=1, T=100": what symbols stand for in the plan; "" if there are none */
    tl_error why_no_plan;
} cli_view;

/* Plans the session's graph for the sizes of --dim, and 1 where none is given. A model that cannot be planned so can
 * still be looked at: only refused memory and wrong names in --dim are errors. */
tl_status cli_view_open(cli_view *view, tl_session *session, const cli_options *options, tl_error *error);
void cli_view_close(cli_view *view);

/* "domain::Operator", without the domain if it is the standard's. Returns buffer. */
char *cli_view_operator(const tl_node *node, char *buffer, size_t size);
/* An attribute's value as text: numbers, lists, quoted strings, the type of a tensor. Returns buffer. */
char *cli_view_attribute(const tl_attribute *attribute, char *buffer, size_t size);
/* A value's type and shape as shown. Returns buffer. */
char *cli_view_type(const cli_view *view, const tl_value *value, char *buffer, size_t size);
/* Sum over the graph's nodes; *unknown counts the nodes that are not in it. */
double cli_view_flops(const cli_view *view, size_t *unknown);

/* view_json.c, view_picture.c */
void cli_view_add_json(const cli_view *view, cli_json *json);
tl_status cli_view_write_svg(const cli_view *view, const char *path, tl_error *error);

#endif
