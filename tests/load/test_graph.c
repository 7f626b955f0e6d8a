/* Graphs: names, inputs, initializers, attributes, subgraphs, opsets; and every rule broken. */
#include <string.h>
#include "support.h"

/* A model of one node x -> y with this attribute. */
static message model_of_attribute(const message *a)
{
    message op = node("Op", NULL, "x", "y");
    put_message(&op, 5, a);
    message graph = graph_of(&op, 1);
    return model_of(&graph);
}

static message model_of_nodes(const message *nodes, size_t count)
{
    message graph = graph_of(nodes, count);
    return model_of(&graph);
}

START_TEST(reads_the_header)
{
    message relu = node("Relu", "ai.onnx", "x", "y");
    put_text(&relu, 3, "first");
    message graph = graph_of(&relu, 1), m = {.size = 0}, opset = {.size = 0}, entry = {.size = 0};
    put_int(&m, 1, 9);
    put_text(&m, 2, "maker");
    put_text(&m, 3, "1.0");
    put_text(&m, 4, "org.example");
    put_int(&m, 5, 7);
    put_text(&m, 6, "says little");
    put_text(&entry, 1, "k");
    put_text(&entry, 2, "v");
    put_message(&m, 14, &entry);
    for (int version = 17; version <= 19; version++) { /* the highest counts */
        opset.size = 0;
        put_text(&opset, 1, version == 18 ? "ai.onnx" : "");
        put_int(&opset, 2, version == 19 ? 5 : version);
        put_message(&m, 8, &opset);
    }
    put_message(&m, 7, &graph);
    tl_model *model = load_good(&m);
    ck_assert_int_eq(model->ir_version, 9);
    ck_assert_int_eq(model->model_version, 7);
    ck_assert_str_eq(model->producer_name, "maker");
    ck_assert_str_eq(model->producer_version, "1.0");
    ck_assert_str_eq(model->domain, "org.example");
    ck_assert_str_eq(model->doc_string, "says little");
    ck_assert_uint_eq(model->metadata_count, 1);
    ck_assert_str_eq(model->metadata[0].key, "k");
    ck_assert_str_eq(model->metadata[0].value, "v");
    ck_assert_uint_eq(model->opset_count, 1);
    ck_assert_int_eq(tl_model_opset(model, ""), 18);
    const tl_graph *g = model->graph;
    ck_assert_str_eq(g->name, "g");
    ck_assert_uint_eq(g->node_count, 1);
    ck_assert_str_eq(g->nodes[0]->name, "first");
    ck_assert_str_eq(g->nodes[0]->domain, "");
    ck_assert_str_eq(g->nodes[0]->op_type, "Relu");
    ck_assert_int_eq(g->nodes[0]->version, 18);
    ck_assert_int_eq(g->nodes[0]->source, 0);
    ck_assert_ptr_eq(g->nodes[0]->inputs[0], g->inputs[0]);
    ck_assert_ptr_eq(g->nodes[0]->outputs[0], g->outputs[0]);
    ck_assert_ptr_eq(g->outputs[0]->producer, g->nodes[0]);
    ck_assert_int_eq(g->inputs[0]->tensor.type, TL_FLOAT);
    ck_assert_int_eq(g->inputs[0]->tensor.dims[0], 1);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_bad_headers)
{
    message relu = node("Relu", NULL, "x", "y");
    message graph = graph_of(&relu, 1), opset = {.size = 0};
    put_int(&opset, 2, 17);
    const struct {
        int64_t ir;
        tl_status status;
        const char *words;
    } versions[] = {{0, TL_INVALID_MODEL, "no IR version"},
                    {-1, TL_INVALID_MODEL, "no IR version"},
                    {2, TL_UNSUPPORTED, "IR version 2"},
                    {3, TL_OK, ""},
                    {14, TL_OK, ""},
                    {15, TL_UNSUPPORTED, "IR version 15"},
                    {INT64_MAX, TL_UNSUPPORTED, "versions 3 to 14"}};
    for (size_t k = 0; k < TL_COUNT(versions); k++) {
        message m = {.size = 0};
        put_int(&m, 1, versions[k].ir);
        put_message(&m, 8, &opset);
        put_message(&m, 7, &graph);
        if (versions[k].status == TL_OK)
            tl_model_free(load_good(&m));
        else
            load_refused(&m, versions[k].status, versions[k].words);
    }
    message nothing = {.size = 0};
    load_refused(&nothing, TL_INVALID_MODEL, "it is empty");
    message no_graph = {.size = 0};
    put_int(&no_graph, 1, 8);
    put_message(&no_graph, 8, &opset);
    load_refused(&no_graph, TL_INVALID_MODEL, "it has no graph");
    message no_opset = {.size = 0};
    put_int(&no_opset, 1, 8);
    put_message(&no_opset, 7, &graph);
    load_refused(&no_opset, TL_INVALID_MODEL, "imports no operator set");
    const int64_t bad[] = {0, -3, INT64_C(1) << 31, INT64_MAX};
    for (size_t k = 0; k < TL_COUNT(bad); k++) {
        message m = no_opset, import = {.size = 0};
        put_int(&import, 2, bad[k]);
        put_message(&m, 8, &import);
        load_refused(&m, TL_INVALID_MODEL, "opset import of domain ''");
    }
    message other = no_opset, import = {.size = 0}; /* only another domain: the default one is then not there */
    put_text(&import, 1, "other");
    put_int(&import, 2, 1);
    put_message(&other, 8, &import);
    load_refused(&other, TL_INVALID_MODEL, "the model imports no operator set of domain 'ai.onnx'");
    message many = no_opset;
    for (int k = 0; k < 257; k++)
        put_message(&many, 8, &opset);
    load_refused(&many, TL_UNSUPPORTED, "257 opset imports");
}
END_TEST

START_TEST(takes_nodes_in_any_order)
{
    message nodes[] = {node("B", NULL, "m", "y"), node("A", NULL, "x", "m")};
    message m = model_of_nodes(nodes, 2);
    tl_model *model = load_good(&m);
    ck_assert_ptr_eq(model->graph->nodes[0]->inputs[0], model->graph->nodes[1]->outputs[0]);
    tl_model_free(model);
}
END_TEST

START_TEST(takes_absent_inputs_and_outputs)
{
    message op = node("Op", NULL, "- x -", "- y -");
    message m = model_of_nodes(&op, 1);
    tl_model *model = load_good(&m);
    const tl_node *n = model->graph->nodes[0];
    ck_assert_uint_eq(n->input_count, 3);
    ck_assert_ptr_null(n->inputs[0]);
    ck_assert_ptr_nonnull(n->inputs[1]);
    ck_assert_ptr_null(n->inputs[2]);
    ck_assert_uint_eq(n->output_count, 3);
    ck_assert_ptr_null(n->outputs[0]);
    ck_assert_ptr_nonnull(n->outputs[1]);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_names_that_do_not_fit)
{
    message nodes[] = {node("A", NULL, "x", "m"), node("B", NULL, "x", "m"), node("C", NULL, "m", "y")};
    message twice = model_of_nodes(nodes, 3);
    load_refused(&twice, TL_INVALID_MODEL, "node 1 '' (B): the value 'm' is made twice");
    message over_input = node("A", NULL, "x", "x");
    message m = model_of_nodes(&over_input, 1);
    load_refused(&m, TL_INVALID_MODEL, "the value 'x' is made twice");
    message unknown = node("A", NULL, "x nowhere", "y");
    m = model_of_nodes(&unknown, 1);
    load_refused(&m, TL_INVALID_MODEL, "node 0 '' (A): input 'nowhere'");
    message other = node("A", NULL, "x", "z");
    m = model_of_nodes(&other, 1);
    load_refused(&m, TL_INVALID_MODEL, "output 'y': output 'y'");
    message unnamed = node("", NULL, "x", "y");
    m = model_of_nodes(&unnamed, 1);
    load_refused(&m, TL_INVALID_MODEL, "no op_type");
    message foreign = node("A", "far", "x", "y");
    m = model_of_nodes(&foreign, 1);
    load_refused(&m, TL_INVALID_MODEL, "node 0 '' (far::A): the model imports no operator set of domain 'far'");
    message line = node("A\nB", NULL, "x nowhere", "y"); /* stays one line */
    m = model_of_nodes(&line, 1);
    load_refused(&m, TL_INVALID_MODEL, "A?B");
}
END_TEST

static message weight(const char *name, const int64_t *dims, size_t rank)
{
    message w = {.size = 0};
    int64_t count = 1;
    put_tensor(&w, name, TL_FLOAT, dims, rank);
    for (size_t k = 0; k < rank; k++)
        count *= dims[k];
    for (int64_t k = 0; k < count; k++)
        put_float(&w, 4, (float)k);
    return w;
}

START_TEST(reads_initializers_and_inputs)
{
    const int64_t dims[] = {2};
    message add = node("Add", NULL, "x w", "y"), w = weight("w", dims, 1);
    for (int listed = 0; listed < 2; listed++) {
        message graph = graph_of(&add, 1), info = value_info("w", 1, dims);
        put_message(&graph, 5, &w);
        if (listed)
            put_message(&graph, 11, &info);
        message m = model_of(&graph);
        tl_model *model = load_good(&m);
        ck_assert_uint_eq(model->graph->input_count, 1); /* only x */
        ck_assert(model->graph->nodes[0]->inputs[1]->flags & TL_VALUE_CONSTANT);
        tl_model_free(model);
    }
}
END_TEST

START_TEST(refuses_bad_initializers_and_inputs)
{
    const int64_t dims[] = {2}, three[] = {3};
    message add = node("Add", NULL, "x w", "y"), w = weight("w", dims, 1), unnamed = weight(NULL, dims, 1);
    message x = value_info("x", 1, dims), made = weight("y", dims, 1);
    message graph = graph_of(&add, 1);
    put_message(&graph, 5, &w);
    message twice = graph;
    put_message(&twice, 5, &w);
    message m = model_of(&twice);
    load_refused(&m, TL_INVALID_MODEL, "initializer 'w': the value 'w' is made twice");
    message nameless = graph;
    put_message(&nameless, 5, &unnamed);
    m = model_of(&nameless);
    load_refused(&m, TL_INVALID_MODEL, "an initializer has no name");
    message over = graph;
    put_message(&over, 5, &made);
    m = model_of(&over);
    load_refused(&m, TL_INVALID_MODEL, "the value 'y' is made twice");
    message again = graph;
    put_message(&again, 11, &x);
    m = model_of(&again);
    load_refused(&m, TL_INVALID_MODEL, "input 'x': the input is listed twice");
    message differs = graph, info = value_info("w", 1, three);
    put_message(&differs, 11, &info);
    m = model_of(&differs);
    load_refused(&m, TL_INVALID_MODEL, "its initializer is float[2], but the input is declared as float[3]");
    message untyped = graph, bare = {.size = 0};
    put_text(&bare, 1, "z");
    put_message(&untyped, 11, &bare);
    m = model_of(&untyped);
    load_refused(&m, TL_INVALID_MODEL, "input 'z': it has no type");
    message no_name = graph, empty = value_info("", 1, dims);
    put_message(&no_name, 11, &empty);
    m = model_of(&no_name);
    load_refused(&m, TL_INVALID_MODEL, "a graph input has no name");
    message no_output = graph;
    put_message(&no_output, 12, &empty);
    m = model_of(&no_output);
    load_refused(&m, TL_INVALID_MODEL, "a graph output has no name");
}
END_TEST

/* ---- Types */

/* A float[dims...] input "z", each dim a message. */
static message input_with_dims(const message *dims, size_t count)
{
    message info = {.size = 0}, type = {.size = 0}, tensor = {.size = 0}, shape = {.size = 0};
    for (size_t k = 0; k < count; k++)
        put_message(&shape, 1, &dims[k]);
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&info, 1, "z");
    put_message(&info, 2, &type);
    return info;
}

START_TEST(reads_dimensions)
{
    message dims[6] = {{.size = 0}, {.size = 0}, {.size = 0}, {.size = 0}, {.size = 0}, {.size = 0}};
    put_int(&dims[0], 1, 3);
    put_text(&dims[1], 2, "N");
    put_text(&dims[2], 2, "T");
    put_text(&dims[3], 2, "N");
    put_int(&dims[4], 1, -1); /* as old exporters write an unknown size; dims[5] is another way */
    message relu = node("Relu", NULL, "x", "y"), graph = graph_of(&relu, 1), z = input_with_dims(dims, 6);
    put_message(&graph, 11, &z);
    message m = model_of(&graph);
    tl_model *model = load_good(&m);
    const tl_tensor *tensor = &tl_graph_find(model->graph, "z")->tensor;
    ck_assert_int_eq(tensor->rank, 6);
    ck_assert_int_eq(tensor->dims[0], 3);
    ck_assert_int_lt(tensor->dims[1], TL_DIM_UNKNOWN);
    ck_assert_int_eq(tensor->dims[1], tensor->dims[3]);
    ck_assert_int_ne(tensor->dims[1], tensor->dims[2]);
    ck_assert_str_eq(tl_model_symbol_name(model, tensor->dims[1]), "N");
    ck_assert_str_eq(tl_model_symbol_name(model, tensor->dims[2]), "T");
    ck_assert_int_eq(tensor->dims[4], TL_DIM_UNKNOWN);
    ck_assert_int_eq(tensor->dims[5], TL_DIM_UNKNOWN);
    tl_model_free(model);
}
END_TEST

/* A ValueInfoProto "z" of this TypeProto. */
static message input_of_type(const message *type)
{
    message info = {.size = 0};
    put_text(&info, 1, "z");
    put_message(&info, 2, type);
    return info;
}

static message model_with_input(const message *input)
{
    message relu = node("Relu", NULL, "x", "y"), graph = graph_of(&relu, 1);
    put_message(&graph, 11, input);
    return model_of(&graph);
}

START_TEST(reads_types)
{
    message tensor = {.size = 0}, element = {.size = 0}, sequence = {.size = 0}, inner = {.size = 0};
    message optional = {.size = 0}, type = {.size = 0};
    put_int(&tensor, 1, TL_INT64);
    put_message(&element, 1, &tensor);
    put_message(&sequence, 1, &element);
    put_message(&inner, 4, &sequence);
    put_message(&optional, 1, &inner);
    put_message(&type, 9, &optional);
    message z = input_of_type(&type), m = model_with_input(&z);
    tl_model *model = load_good(&m);
    const tl_value *value = tl_graph_find(model->graph, "z");
    ck_assert_int_eq(value->kind, TL_KIND_OPTIONAL);
    ck_assert_int_eq(value->type->kind, TL_KIND_OPTIONAL);
    ck_assert_int_eq(value->type->element->kind, TL_KIND_SEQUENCE);
    ck_assert_int_eq(value->type->element->element->kind, TL_KIND_TENSOR);
    ck_assert_int_eq(value->type->element->element->tensor.type, TL_INT64);
    ck_assert_int_eq(value->type->element->element->tensor.rank, TL_RANK_UNKNOWN);
    tl_model_free(model);

    message map = {.size = 0}, map_type = {.size = 0};
    put_int(&map, 1, TL_STRING);
    put_message(&map, 2, &element);
    put_message(&map_type, 5, &map);
    z = input_of_type(&map_type);
    m = model_with_input(&z);
    model = load_good(&m);
    value = tl_graph_find(model->graph, "z");
    ck_assert_int_eq(value->kind, TL_KIND_MAP);
    ck_assert_int_eq(value->type->tensor.type, TL_STRING);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_bad_types)
{
    message type = {.size = 0}, tensor = {.size = 0}, opaque = {.size = 0};
    message z = input_of_type(&type), m = model_with_input(&z);
    load_refused(&m, TL_INVALID_MODEL, "input 'z': a type that says nothing");
    put_message(&type, 1, &tensor);
    z = input_of_type(&type);
    m = model_with_input(&z);
    load_refused(&m, TL_INVALID_MODEL, "0 is no element type");
    type.size = 0;
    put_message(&type, 7, &opaque);
    z = input_of_type(&type);
    m = model_with_input(&z);
    load_refused(&m, TL_UNSUPPORTED, "opaque");
    type.size = 0;
    put_int(&tensor, 1, 1);
    put_message(&type, 8, &tensor);
    z = input_of_type(&type);
    m = model_with_input(&z);
    load_refused(&m, TL_UNSUPPORTED, "sparse");
    message dims[17];
    for (size_t k = 0; k < 17; k++)
        dims[k].size = 0;
    z = input_with_dims(dims, 17);
    m = model_with_input(&z);
    load_refused(&m, TL_UNSUPPORTED, "rank 17");
}
END_TEST

/* ---- Attributes */

START_TEST(reads_attributes)
{
    message op = node("Op", NULL, "x", "y"), a = attribute("f", TL_ATTR_FLOAT);
    put_float(&a, 2, 1.5f);
    put_message(&op, 5, &a);
    a = attribute("i", TL_ATTR_INT);
    put_int(&a, 3, INT64_MIN);
    put_message(&op, 5, &a);
    a = attribute("s", TL_ATTR_STRING);
    put_blob(&a, 4, "a\0b", 3);
    put_message(&op, 5, &a);
    a = attribute("zero", TL_ATTR_INT); /* as proto3 writers leave zero out */
    put_message(&op, 5, &a);
    a = attribute("ints", TL_ATTR_INTS);
    put_int(&a, 8, 4);
    put_int(&a, 8, -5);
    put_message(&op, 5, &a);
    a = attribute("floats", TL_ATTR_FLOATS);
    put_float(&a, 7, 0.5f);
    put_message(&op, 5, &a);
    a = attribute("strings", TL_ATTR_STRINGS);
    put_text(&a, 9, "one");
    put_text(&a, 9, "");
    put_message(&op, 5, &a);
    a = attribute("empty", TL_ATTR_INTS);
    put_message(&op, 5, &a);
    const int64_t dims[] = {3};
    message w = weight("w", dims, 1);
    a = attribute("t", TL_ATTR_TENSOR);
    put_message(&a, 5, &w);
    put_message(&op, 5, &a);
    a = attribute("ts", 9);
    put_message(&a, 10, &w);
    put_message(&a, 10, &w);
    put_message(&op, 5, &a);
    message m = model_of_nodes(&op, 1);
    tl_model *model = load_good(&m);
    const tl_node *n = model->graph->nodes[0];
    ck_assert_uint_eq(n->attribute_count, 10);
    ck_assert(tl_node_attribute(n, "f")->u.f == 1.5f);
    ck_assert(tl_node_attribute(n, "i")->u.i == INT64_MIN);
    ck_assert_uint_eq(tl_node_attribute(n, "s")->u.s.size, 3);
    ck_assert_mem_eq(tl_node_attribute(n, "s")->u.s.data, "a\0b", 4);
    ck_assert_int_eq(tl_node_attribute(n, "zero")->u.i, 0);
    ck_assert_uint_eq(tl_node_attribute(n, "ints")->count, 2);
    ck_assert_int_eq(tl_node_attribute(n, "ints")->u.ints[1], -5);
    ck_assert(tl_node_attribute(n, "floats")->u.floats[0] == 0.5f);
    ck_assert_uint_eq(tl_node_attribute(n, "strings")->count, 2);
    ck_assert_str_eq(tl_node_attribute(n, "strings")->u.strings[0].data, "one");
    ck_assert_uint_eq(tl_node_attribute(n, "empty")->count, 0);
    ck_assert_int_eq(tl_node_attribute(n, "t")->kind, TL_ATTR_TENSOR);
    ck_assert(((const float *)tl_node_attribute(n, "t")->u.tensor->data)[2] == 2);
    ck_assert_uint_eq(tl_node_attribute(n, "ts")->count, 2);
    tl_model_free(model);
}
END_TEST

START_TEST(reads_rare_attributes)
{
    message op = node("Op", NULL, "x", "y"), body = {.size = 0}, inner = node("Relu", NULL, "x", "b"),
            out = {.size = 0};
    put_message(&body, 1, &inner);
    put_text(&out, 1, "b");
    put_message(&body, 12, &out);
    message a = attribute("graphs", TL_ATTR_GRAPHS);
    put_message(&a, 11, &body);
    put_message(&a, 11, &body);
    put_message(&op, 5, &a);
    message type = {.size = 0}, tensor = {.size = 0};
    put_int(&tensor, 1, TL_DOUBLE);
    put_message(&type, 1, &tensor);
    a = attribute("type", TL_ATTR_TYPE_PROTO);
    put_message(&a, 14, &type);
    put_message(&op, 5, &a);
    const int64_t one[] = {1};
    message sparse = {.size = 0}, values = weight(NULL, one, 1), indices = {.size = 0};
    put_tensor(&indices, NULL, TL_INT64, one, 1);
    put_int(&indices, 7, 2);
    put_message(&sparse, 1, &values);
    put_message(&sparse, 2, &indices);
    put_int(&sparse, 3, 4);
    a = attribute("sparse", TL_ATTR_SPARSE_TENSOR);
    put_message(&a, 22, &sparse);
    put_message(&op, 5, &a);
    message m = model_of_nodes(&op, 1);
    tl_model *model = load_good(&m);
    const tl_node *n = model->graph->nodes[0];
    const tl_attribute *graphs = tl_node_attribute(n, "graphs");
    ck_assert_uint_eq(graphs->count, 2);
    ck_assert_ptr_ne(graphs->u.graphs[0], graphs->u.graphs[1]);
    ck_assert_str_eq(graphs->u.graphs[1]->nodes[0]->op_type, "Relu");
    ck_assert_int_eq(tl_node_attribute(n, "type")->u.type->tensor.type, TL_DOUBLE);
    const tl_attribute *dense = tl_node_attribute(n, "sparse");
    ck_assert_int_eq(dense->kind, TL_ATTR_TENSOR);
    ck_assert_int_eq(dense->u.tensor->dims[0], 4);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_bad_attributes)
{
    message a = {.size = 0};
    put_int(&a, 20, TL_ATTR_INT);
    message m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "attribute number 0 has no name");
    a = attribute("a", 0);
    put_int(&a, 3, 1);
    m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "node 0 '' (Op): attribute 'a': it has a value of type 2 beside its type 0");
    a = attribute("a", 0);
    m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "its type is 0");
    a = attribute("a", 99);
    m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "its type is 99");
    a = attribute("a", TL_ATTR_INT);
    put_int(&a, 8, 1);
    m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "value of type 7 beside its type 2");
    const int needs[] = {TL_ATTR_TENSOR, TL_ATTR_GRAPH, TL_ATTR_SPARSE_TENSOR, TL_ATTR_TYPE_PROTO};
    for (size_t k = 0; k < TL_COUNT(needs); k++) {
        a = attribute("a", needs[k]);
        m = model_of_attribute(&a);
        load_refused(&m, TL_INVALID_MODEL, "it has no value of its type");
    }
    a = attribute("a", 12);
    m = model_of_attribute(&a);
    load_refused(&m, TL_UNSUPPORTED, "attributes of type 12");
    a = attribute("a", TL_ATTR_INT);
    put_text(&a, 21, "outer");
    m = model_of_attribute(&a);
    load_refused(&m, TL_INVALID_MODEL, "ref_attr_name 'outer' outside of a function");
    for (int count = 2; count < 40; count += 37) { /* few and many are compared in two ways */
        message op = node("Op", NULL, "x", "y");
        for (int k = 0; k < count; k++) {
            char name[] = {(char)('0' + k % (count - 1)), 0};
            a = attribute(name, TL_ATTR_INT);
            put_message(&op, 5, &a);
        }
        m = model_of_nodes(&op, 1);
        load_refused(&m, TL_INVALID_MODEL, "the attribute '0' is there twice");
    }
}
END_TEST

/* ---- Subgraphs */

START_TEST(reads_bodies)
{
    tl_model *model;
    tl_status status = tl_load_file(NULL, NULL, "data/bodies.onnx", NULL, &model, &test_error);
    ck_assert_msg(status == TL_OK, "%s", test_error.message);
    const tl_graph *g = model->graph;
    const tl_node *outer_if = g->nodes[0], *scan = g->nodes[1];
    const tl_graph *then_branch = tl_node_attribute(outer_if, "then_branch")->u.graph;
    ck_assert_ptr_eq(then_branch->parent, g);
    ck_assert_int_eq(then_branch->depth, 1);
    const tl_node *inner_if = then_branch->nodes[0];
    const tl_graph *deep = tl_node_attribute(inner_if, "then_branch")->u.graph;
    ck_assert_int_eq(deep->depth, 2);
    /* x, used two graphs down, is captured in both. */
    const tl_value *x = deep->nodes[0]->inputs[0];
    ck_assert(x->flags & TL_VALUE_CAPTURE);
    ck_assert_ptr_eq(x->graph, deep);
    ck_assert_ptr_eq(x->outer->graph, then_branch);
    ck_assert(x->outer->flags & TL_VALUE_CAPTURE);
    ck_assert_ptr_eq(x->outer->outer, tl_graph_find(g, "x"));
    ck_assert_uint_eq(deep->capture_count, 2);        /* x, w */
    ck_assert_uint_eq(then_branch->capture_count, 3); /* flag, x (for both branches), w */
    const tl_graph *body = tl_node_attribute(scan, "body")->u.graph;
    ck_assert_uint_eq(body->input_count, 2);
    ck_assert_uint_eq(body->output_count, 2);
    ck_assert_uint_eq(body->capture_count, 1);
    ck_assert_ptr_eq(body->captures[0]->outer, tl_graph_find(g, "w"));
    tl_model_free(model);
}
END_TEST

/* A model of one If-like node whose only body is this graph. */
static message model_of_body(const message *body)
{
    message a = attribute("body", TL_ATTR_GRAPH);
    put_message(&a, 6, body);
    return model_of_attribute(&a);
}

START_TEST(gives_bodies_outputs_of_their_own)
{
    message body = {.size = 0}, out = {.size = 0};
    put_text(&out, 1, "x"); /* a value of the graph around, given out as it is */
    put_message(&body, 12, &out);
    message m = model_of_body(&body);
    tl_model *model = load_good(&m);
    const tl_graph *graph = tl_node_attribute(model->graph->nodes[0], "body")->u.graph;
    ck_assert_uint_eq(graph->node_count, 1);
    ck_assert_str_eq(graph->nodes[0]->op_type, "Identity");
    ck_assert_int_eq(graph->nodes[0]->version, 17);
    ck_assert_ptr_eq(graph->nodes[0]->inputs[0]->outer, tl_graph_find(model->graph, "x"));
    ck_assert_ptr_eq(graph->outputs[0], graph->nodes[0]->outputs[0]);
    ck_assert(!(graph->outputs[0]->flags & TL_VALUE_CAPTURE));
    tl_model_free(model);
}
END_TEST

START_TEST(lets_bodies_shadow_names)
{
    message body = {.size = 0}, out = {.size = 0}, relu = node("Relu", NULL, "m", "x");
    message first = node("Neg", NULL, "y0", "m");
    put_message(&body, 1, &relu);
    put_message(&body, 1, &first);
    put_text(&out, 1, "x");
    put_message(&body, 12, &out);
    message a = attribute("body", TL_ATTR_GRAPH);
    put_message(&a, 6, &body);
    message nodes[] = {node("Op", NULL, "x", "y"), node("Abs", NULL, "x", "y0")};
    put_message(&nodes[0], 5, &a);
    message m = model_of_nodes(nodes, 2);
    tl_model *model = load_good(&m);
    const tl_graph *graph = tl_node_attribute(model->graph->nodes[0], "body")->u.graph;
    ck_assert_uint_eq(graph->capture_count, 1); /* y0, which a later node makes; x is the body's own */
    ck_assert_str_eq(graph->captures[0]->outer->name, "y0");
    ck_assert_ptr_eq(graph->outputs[0], graph->nodes[0]->outputs[0]);
    tl_model_free(model);
}
END_TEST

START_TEST(refuses_bad_bodies)
{
    message body = {.size = 0}, relu = node("Relu", NULL, "nowhere", "b");
    put_message(&body, 1, &relu);
    message m = model_of_body(&body);
    load_refused(&m, TL_INVALID_MODEL, "(memory): node 0 '' (Relu): input 'nowhere'");
    message nested = {.size = 0};
    for (int k = 0; k < TL_MAX_DEPTH + 1; k++) {
        message a = attribute("body", TL_ATTR_GRAPH), op = node("Op", NULL, "x", "b"), around = {.size = 0};
        put_message(&a, 6, &nested);
        put_message(&op, 5, &a);
        put_message(&around, 1, &op);
        nested = around;
    }
    m = model_of(&nested);
    load_refused(&m, TL_INVALID_MODEL, "more than 32 subgraphs");
}
END_TEST

/* Whatever byte is cut off or changed: refused or read, and nothing leaks. */
START_TEST(survives_damage)
{
    const int64_t dims[] = {2};
    message a = attribute("body", TL_ATTR_GRAPH), body = {.size = 0}, inner = node("Relu", NULL, "x", "b");
    message out = {.size = 0}, w = weight("w", dims, 1);
    put_message(&body, 1, &inner);
    put_text(&out, 1, "b");
    put_message(&body, 12, &out);
    put_message(&a, 6, &body);
    message nodes[] = {node("If", NULL, "x", "z"), node("Add", NULL, "z w", "y")};
    put_message(&nodes[0], 5, &a);
    message graph = graph_of(nodes, 2);
    put_message(&graph, 5, &w);
    message m = model_of(&graph);
    tl_model_free(load_good(&m));
    for (size_t size = 0; size < m.size; size++) {
        message cut = m;
        cut.size = size;
        tl_model_free(load_message(&cut));
    }
    for (size_t at = 0; at < m.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            message changed = m;
            changed.bytes[at] ^= (uint8_t)(1 << bit);
            tl_model_free(load_message(&changed));
        }
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("graph");
    tcase_add_test(tests, reads_the_header);
    tcase_add_test(tests, refuses_bad_headers);
    tcase_add_test(tests, takes_nodes_in_any_order);
    tcase_add_test(tests, takes_absent_inputs_and_outputs);
    tcase_add_test(tests, refuses_names_that_do_not_fit);
    tcase_add_test(tests, reads_initializers_and_inputs);
    tcase_add_test(tests, refuses_bad_initializers_and_inputs);
    tcase_add_test(tests, reads_dimensions);
    tcase_add_test(tests, reads_types);
    tcase_add_test(tests, refuses_bad_types);
    tcase_add_test(tests, reads_attributes);
    tcase_add_test(tests, reads_rare_attributes);
    tcase_add_test(tests, refuses_bad_attributes);
    tcase_add_test(tests, reads_bodies);
    tcase_add_test(tests, gives_bodies_outputs_of_their_own);
    tcase_add_test(tests, lets_bodies_shadow_names);
    tcase_add_test(tests, refuses_bad_bodies);
    tcase_add_test(tests, survives_damage);
    return run_case(tests, "graph");
}
