/* ImageDecoder, for formats that hold their pixels as they are: BMP, TIFF without compression, binary PGM and PPM. The
 * others that the standard names need codecs, and are refused by name. What is damaged, or no image at all, gives an
 * empty image, as the standard wants. Nothing is larger than the stream: every row is checked to lie in it. */
#include "onnx/nn.h"

typedef enum outcome { IMAGE_READ, IMAGE_DAMAGED, IMAGE_REFUSED } outcome;

typedef struct stream {
    const uint8_t *data;
    int64_t size;
    bool big_endian;
} stream;

#define MOST_PIXELS (INT32_MAX / 8) /* along an axis, so that no product overflows */

/* Rows of pixels in the stream. */
typedef struct raster {
    int64_t height, width, start, row_step; /* bytes; from row to row it may go backwards */
    int64_t step;                           /* bytes of a pixel */
    int64_t colours;                        /* 1 or 3 */
    bool blue_first, inverted;
    int64_t palette, palette_size; /* where it starts, entries of four bytes, blue first; 0: none */
    int64_t most;                  /* what stands for white */
} raster;

/* `count` bytes at `at` as a number; 0 where they lie outside. */
static int64_t read_number(const stream *s, int64_t at, int count)
{
    uint64_t value = 0;
    if (at < 0 || at > s->size - count)
        return 0;
    for (int i = 0; i < count; i++)
        value = value << 8 | s->data[at + (s->big_endian ? i : count - 1 - i)];
    return (int64_t)value;
}

static bool begins(const stream *s, int64_t at, const char *text, int64_t size)
{
    return s->size >= at + size && memcmp(s->data + at, text, (size_t)size) == 0;
}

/* ---- BMP */

static outcome read_bmp(const stream *s, raster *r)
{
    const int64_t header = read_number(s, 14, 4), bits = read_number(s, 28, 2), compression = read_number(s, 30, 4);
    const int32_t height = (int32_t)(uint32_t)read_number(s, 22, 4);
    if (header < 40)
        return header == 12 ? IMAGE_REFUSED : IMAGE_DAMAGED;
    if (compression != 0 || (bits != 8 && bits != 24 && bits != 32))
        return IMAGE_REFUSED;
    r->width = read_number(s, 18, 4);
    r->height = height < 0 ? -(int64_t)height : height;
    r->start = read_number(s, 10, 4);
    r->step = bits / 8;
    r->colours = 3;
    r->blue_first = true;
    if (r->width > MOST_PIXELS)
        return IMAGE_DAMAGED;
    r->row_step = (r->width * r->step + 3) / 4 * 4;
    if (height > 0) { /* the last row comes first */
        r->start += (r->height - 1) * r->row_step;
        r->row_step = -r->row_step;
    }
    if (bits == 8) {
        const int64_t used = read_number(s, 46, 4);
        r->palette = 14 + header;
        r->palette_size = used == 0 ? 256 : used;
        if (r->palette_size > 256 || r->palette > s->size - 4 * r->palette_size)
            return IMAGE_DAMAGED;
    }
    return IMAGE_READ;
}

/* ---- PGM and PPM: numbers as text, then bytes */

/* The next number of the header, after spaces and comments; -1: there is none. */
static int64_t next_number(const stream *s, int64_t *at)
{
    int64_t value = 0, digits = 0;
    while (*at < s->size && strchr(" \t\r\n\v\f#", s->data[*at]) && s->data[*at]) {
        if (s->data[*at] == '#')
            while (*at < s->size && s->data[*at] != '\n')
                ++*at;
        else
            ++*at;
    }
    for (; *at < s->size && s->data[*at] >= '0' && s->data[*at] <= '9' && digits < 9; digits++)
        value = value * 10 + (s->data[(*at)++] - '0');
    return digits == 0 ? -1 : value;
}

static outcome read_pnm(const stream *s, raster *r)
{
    int64_t at = 2;
    if (s->data[1] != '5' && s->data[1] != '6')
        return IMAGE_REFUSED;
    r->width = next_number(s, &at);
    r->height = next_number(s, &at);
    r->most = next_number(s, &at);
    if (r->most > 255)
        return IMAGE_REFUSED;
    if (r->width < 0 || r->height < 0 || r->most < 1)
        return IMAGE_DAMAGED;
    r->start = at + 1; /* one space */
    r->step = r->colours = s->data[1] == '5' ? 1 : 3;
    r->row_step = r->width * r->step;
    return IMAGE_READ;
}

/* ---- TIFF */

enum {
    TIFF_WIDTH = 256,
    TIFF_HEIGHT = 257,
    TIFF_BITS = 258,
    TIFF_COMPRESSION = 259,
    TIFF_COLOURS = 262, /* 0: white is zero, 1: black is zero, 2: RGB */
    TIFF_OFFSETS = 273,
    TIFF_SAMPLES = 277,
    TIFF_BYTES = 279,
    TIFF_PLANAR = 284
};

typedef struct tiff_tag {
    int64_t at, count; /* of the values */
    int size;          /* of one, in bytes */
} tiff_tag;

static tiff_tag find_tag(const stream *s, int64_t tag)
{
    const int64_t directory = read_number(s, 4, 4), count = read_number(s, directory, 2);
    tiff_tag found = {0, 0, 1};
    for (int64_t i = 0; i < count && found.count == 0; i++) {
        const int64_t entry = directory + 2 + 12 * i;
        if (read_number(s, entry, 2) != tag)
            continue;
        const int64_t type = read_number(s, entry + 2, 2);
        found.count = read_number(s, entry + 4, 4);
        found.size = type == 3 ? 2 : type == 4 ? 4 : 1;
        found.at = found.count * found.size <= 4 ? entry + 8 : read_number(s, entry + 8, 4);
    }
    return found;
}

/* Number k of a tag's values; `otherwise` where there is none. */
static int64_t tag_value(const stream *s, const tiff_tag *tag, int64_t k, int64_t otherwise)
{
    return k < tag->count ? read_number(s, tag->at + k * tag->size, tag->size) : otherwise;
}

static int64_t first_value(const stream *s, int64_t tag, int64_t otherwise)
{
    const tiff_tag found = find_tag(s, tag);
    return tag_value(s, &found, 0, otherwise);
}

static outcome read_tiff(const stream *s, raster *r)
{
    const int64_t colours = first_value(s, TIFF_COLOURS, 1), samples = first_value(s, TIFF_SAMPLES, 1);
    const tiff_tag bits = find_tag(s, TIFF_BITS), offsets = find_tag(s, TIFF_OFFSETS), bytes = find_tag(s, TIFF_BYTES);
    r->colours = colours == 2 ? 3 : 1;
    r->inverted = colours == 0;
    if (first_value(s, TIFF_COMPRESSION, 1) != 1 || first_value(s, TIFF_PLANAR, 1) != 1 || colours > 2 ||
        samples < r->colours || samples > 4)
        return IMAGE_REFUSED;
    for (int64_t k = 0; k < samples; k++)
        if (tag_value(s, &bits, k, 1) != 8)
            return IMAGE_REFUSED;
    r->width = first_value(s, TIFF_WIDTH, 0);
    r->height = first_value(s, TIFF_HEIGHT, 0);
    r->start = tag_value(s, &offsets, 0, 0);
    r->step = samples;
    r->row_step = r->width * samples;
    /* Strips are read as one: they must follow each other. */
    int64_t end = r->start;
    for (int64_t k = 0; k < offsets.count; k++) {
        const int64_t size = tag_value(s, &bytes, k, 0);
        if (tag_value(s, &offsets, k, 0) != end)
            return IMAGE_REFUSED;
        end += size;
        if (size == 0 || end > s->size)
            return IMAGE_DAMAGED;
    }
    return end - r->start < r->height ? IMAGE_DAMAGED : IMAGE_READ;
}

/* ---- Any */

/* Whether all rows lie in the stream. */
static bool is_inside(const stream *s, const raster *r)
{
    if (r->width < 1 || r->width > MOST_PIXELS || r->height < 1 || r->height > INT32_MAX)
        return false;
    const int64_t row = r->width * r->step, last = r->start + (r->height - 1) * r->row_step;
    return r->start >= 0 && last >= 0 && r->start <= s->size - row && last <= s->size - row;
}

static outcome read_image(stream *s, raster *r, const char **format)
{
    static const struct {
        const char *name, *text;
        int64_t at, size;
        outcome (*read)(const stream *s, raster *r);
    } formats[] = {
        {"BMP", "BM", 0, 2, read_bmp},
        {"TIFF", "II*\0", 0, 4, read_tiff},
        {"TIFF", "MM\0*", 0, 4, read_tiff},
        {"JPEG", "\xff\xd8\xff", 0, 3, NULL},
        {"JPEG 2000", "\0\0\0\x0cjP  ", 0, 8, NULL},
        {"PNG", "\x89PNG", 0, 4, NULL},
        {"WebP", "WEBP", 8, 4, NULL},
        {"PNM", "P", 0, 1, read_pnm},
    };
    *r = (raster){.most = 255};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (!begins(s, formats[i].at, formats[i].text, formats[i].size))
            continue;
        *format = formats[i].name;
        s->big_endian = formats[i].text[0] == 'M';
        const bool named = formats[i].read != read_pnm || (s->size > 2 && s->data[1] >= '1' && s->data[1] <= '7');
        const outcome result = !named ? IMAGE_DAMAGED : formats[i].read ? formats[i].read(s, r) : IMAGE_REFUSED;
        return result == IMAGE_READ && !is_inside(s, r) ? IMAGE_DAMAGED : result;
    }
    return IMAGE_DAMAGED;
}

/* ---- The operator */

static tl_status decoder_reshape(tl_call *call)
{
    enum { RGB, BGR, GREY };
    int format = RGB;
    tl_status status = op_word(call, "pixel_format", "RGB BGR Grayscale", &format);
    if (status == TL_OK)
        status = nn_check_rank(call, 0, 1, 1);
    call->outputs[0]->rank = 3;
    call->outputs[0]->dims[0] = call->outputs[0]->dims[1] = TL_DIM_UNKNOWN;
    call->outputs[0]->dims[2] = format == GREY ? 1 : 3;
    return status;
}

/* One pixel's red, green and blue. */
static void read_pixel(const stream *s, const raster *r, int64_t at, uint8_t *rgb)
{
    const uint8_t *from = s->data + at;
    if (r->palette_size > 0) {
        const int64_t entry = nn_min(*from, r->palette_size - 1);
        from = s->data + r->palette + 4 * entry;
    }
    for (int i = 0; i < 3; i++) {
        const int value = from[r->colours == 1 ? 0 : r->blue_first ? 2 - i : i];
        const int scaled = r->most == 255 ? value : (int)((value * 255 + r->most / 2) / r->most);
        rgb[i] = (uint8_t)(r->inverted ? 255 - scaled : scaled > 255 ? 255 : scaled);
    }
}

static tl_status decoder_run(tl_call *call)
{
    const char *pixels = op_string(call, "pixel_format"), *format = "";
    const int64_t channels = strcmp(pixels, "Grayscale") == 0 ? 1 : 3;
    const bool blue_first = strcmp(pixels, "BGR") == 0;
    stream s = {call->inputs[0]->data, call->inputs[0]->dims[0], false};
    raster r;
    const outcome result = read_image(&s, &r, &format);
    if (result == IMAGE_REFUSED)
        return tl_fail(call, TL_UNSUPPORTED, "the image is a %s of a kind that there is no decoder for", format);
    const int64_t dims[] = {result == IMAGE_READ ? r.height : 0, result == IMAGE_READ ? r.width : 0, channels};
    uint8_t *to = call->host->output(call, 0, 3, dims);
    if (!to)
        return TL_NO_MEMORY;
    for (int64_t i = 0; i < dims[0]; i++)
        for (int64_t j = 0; j < dims[1]; j++, to += channels) {
            uint8_t rgb[3];
            read_pixel(&s, &r, r.start + i * r.row_step + j * r.step, rgb);
            if (channels == 1) /* luma by ITU-R 601 */
                to[0] = (uint8_t)((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
            else
                for (int c = 0; c < 3; c++)
                    to[c] = rgb[blue_first ? 2 - c : c];
        }
    return TL_OK;
}

static const tl_param decoder_input[] = {OP_IN("encoded_stream", TL_T(TL_UINT8), 0)};
static const tl_param decoder_output[] = {OP_IN("image", TL_T(TL_UINT8), 0)};
static const tl_attribute_spec decoder_attribute[] = {OP_STRING("pixel_format", "RGB")};

OP_DESCRIPTOR(ImageDecoder, 20) = {OP_HEAD(ImageDecoder, 20),         OP_PARAMS(input, decoder_input),
                                   OP_PARAMS(output, decoder_output), OP_PARAMS(attribute, decoder_attribute),
                                   .reshape = decoder_reshape,        .run = decoder_run};
