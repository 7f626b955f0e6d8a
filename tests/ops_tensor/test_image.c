/* ImageDecoder: the same picture in all formats that it reads, and what is damaged. */
#include "tensors.h"

OPERATOR(ImageDecoder, 20);

/* Three by two pixels, red green blue. */
static const uint8_t picture[18] = {255, 0, 0, 10, 20, 30, 0, 255, 0, 1, 2, 3, 0, 0, 255, 200, 100, 50};

typedef struct bytes {
    uint8_t data[256];
    size_t size;
} bytes;

static void put(bytes *b, uint32_t value, int count, bool big_endian)
{
    for (int i = 0; i < count; i++)
        b->data[b->size++] = (uint8_t)(value >> 8 * (big_endian ? count - 1 - i : i));
}

static void put_text(bytes *b, const char *text)
{
    memcpy(b->data + b->size, text, strlen(text));
    b->size += strlen(text);
}

/* 24 or 32 bits, or 8 with a palette of the six colours. */
static bytes make_bmp(int bits, bool upside_down)
{
    bytes b = {.size = 0};
    const uint32_t palette = bits == 8 ? 6 : 0;
    put_text(&b, "BM");
    const uint32_t header[] = {0, 0, 54 + 4 * palette, 40, 3, upside_down ? (uint32_t)-2 : 2};
    for (int i = 0; i < 6; i++)
        put(&b, header[i], 4, false);
    put(&b, 1, 2, false);
    put(&b, (uint32_t)bits, 2, false);
    const uint32_t rest[] = {0, 0, 0, 0, palette, 0};
    for (int i = 0; i < 6; i++)
        put(&b, rest[i], 4, false);
    for (uint32_t i = 0; i < palette; i++)
        for (int c = 2; c >= -1; c--)
            put(&b, c < 0 ? 0 : picture[i * 3 + (uint32_t)c], 1, false);
    for (uint32_t row = 0; row < 2; row++) {
        const uint32_t y = upside_down ? row : 1 - row;
        for (uint32_t x = 0; x < 3; x++)
            if (bits == 8)
                put(&b, y * 3 + x, 1, false);
            else
                for (int c = 2; c >= (bits == 32 ? -1 : 0); c--)
                    put(&b, c < 0 ? 77 : picture[(y * 3 + x) * 3 + (uint32_t)c], 1, false);
        put(&b, 0, bits == 24 ? 3 : bits == 8 ? 1 : 0, false);
    }
    return b;
}

/* Two strips of a row each. */
static bytes make_tiff(bool big_endian, int samples)
{
    bytes b = {.size = 0};
    put_text(&b, big_endian ? "MM" : "II");
    put(&b, 42, 2, big_endian);
    put(&b, 8, 4, big_endian);
    const uint32_t data = 8 + 2 + 8 * 12 + 4 + 8 + 8 + 8, row = 3 * (uint32_t)samples;
    const uint32_t tags[8][4] = {
        {256, 3, 1, 3}, {257, 3, 1, 2},         {258, 3, (uint32_t)samples, data - 24}, {259, 3, 1, 1},
        {262, 3, 1, 2}, {273, 4, 2, data - 16}, {277, 3, 1, (uint32_t)samples},         {279, 4, 2, data - 8}};
    put(&b, 8, 2, big_endian);
    for (int i = 0; i < 8; i++) {
        const bool inside = tags[i][2] == 1;
        put(&b, tags[i][0], 2, big_endian);
        put(&b, tags[i][1], 2, big_endian);
        put(&b, tags[i][2], 4, big_endian);
        put(&b, tags[i][3], inside ? 2 : 4, big_endian);
        put(&b, 0, inside ? 2 : 0, big_endian);
    }
    put(&b, 0, 4, big_endian);
    for (int i = 0; i < 4; i++)
        put(&b, 8, 2, big_endian);
    const uint32_t strips[] = {data, data + row, row, row};
    for (int i = 0; i < 4; i++)
        put(&b, strips[i], 4, big_endian);
    for (int i = 0; i < 6; i++)
        for (int c = 0; c < samples; c++)
            put(&b, c < 3 ? picture[i * 3 + c] : 99, 1, big_endian);
    return b;
}

static bytes make_ppm(const char *header)
{
    bytes b = {.size = 0};
    put_text(&b, header);
    for (int i = 0; i < 18; i++)
        put(&b, picture[i], 1, false);
    return b;
}

static tl_tensor stream_of(const bytes *b, size_t size)
{
    tl_tensor stream = new_tensor(TL_UINT8, DIMS((int64_t)size));
    memcpy(stream.data, b->data, size);
    return stream;
}

static void check(const bytes *b)
{
    static const char *const formats[] = {"RGB", "BGR", "Grayscale"};
    tl_tensor stream = stream_of(b, b->size);
    for (int f = 0; f < 3; f++) {
        fake_attribute attributes[] = {ATTR_S("pixel_format", formats[f])};
        fake_case test = CASE(&tl_op_ImageDecoder_20, attributes, &stream);
        run_ok(&test);
        const tl_tensor *image = &test.outputs[0];
        assert_shape(image, DIMS(2, 3, f == 2 ? 1 : 3));
        for (int64_t i = 0; i < elements(image); i++)
            if (f == 2) {
                const uint8_t *p = picture + 3 * i;
                const double luma = 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
                ck_assert_double_eq_tol(get(image, i), luma, 0.51);
            } else
                ck_assert_int_eq((int)get(image, i), picture[f == 0 ? i : i / 3 * 3 + 2 - i % 3]);
        fake_free(&test);
    }
    free_tensor(&stream);
}

/* No cut or changed byte does harm: an image, an empty one, or a refusal. */
static void damage(const bytes *b)
{
    for (int turn = 0; turn < 3000; turn++) {
        bytes other = *b;
        size_t size = turn < (int)b->size ? (size_t)turn : b->size;
        for (int k = turn % 4; k > 0 && size > 0; k--)
            other.data[random_int(0, (int64_t)size - 1)] = (uint8_t)(random_int(0, 1) ? 255 : random_bits());
        tl_tensor stream = stream_of(&other, size);
        fake_case test = PLAIN_CASE(&tl_op_ImageDecoder_20, &stream);
        const tl_status status = fake_run(&test);
        ck_assert(status == TL_OK || status == TL_UNSUPPORTED);
        if (status == TL_OK)
            fake_free(&test);
        free_tensor(&stream);
    }
}

START_TEST(pictures)
{
    const bytes all[] = {make_bmp(24, false), make_bmp(24, true),      make_bmp(32, false),
                         make_bmp(8, false),  make_tiff(false, 3),     make_tiff(true, 3),
                         make_tiff(true, 4),  make_ppm("P6 3 2 255 "), make_ppm("P6\n# three by two\n3\n2\n255\n")};
    random_seed(91);
    for (size_t k = 0; k < COUNT(all); k++) {
        check(&all[k]);
        damage(&all[k]);
    }
}
END_TEST

START_TEST(scaled_grey)
{
    bytes b = {.size = 0};
    put_text(&b, "P5 3 1 10\n");
    for (int i = 0; i < 3; i++)
        put(&b, (uint32_t)i * 5, 1, false);
    tl_tensor stream = stream_of(&b, b.size);
    fake_case test = PLAIN_CASE(&tl_op_ImageDecoder_20, &stream);
    run_ok(&test);
    assert_shape(&test.outputs[0], DIMS(1, 3, 3));
    for (int64_t i = 0; i < 9; i++)
        ck_assert_int_eq((int)get(&test.outputs[0], i), i < 3 ? 0 : i < 6 ? 128 : 255);
    fake_free(&test);
    free_tensor(&stream);
}
END_TEST

/* What needs a codec is refused by name; what is no image is empty. */
START_TEST(others)
{
    static const struct {
        const char *data;
        size_t size;
        const char *refusal;
    } cases[] = {{"\xff\xd8\xff\xe0\0\x10JFIF", 10, "JPEG"},
                 {"\x89PNG\r\n\x1a\n", 8, "PNG"},
                 {"RIFF\0\0\0\0WEBPVP8 ", 16, "WebP"},
                 {"\0\0\0\x0cjP  \r\n", 10, "JPEG 2000"},
                 {"P3 1 1 255 1 2 3", 16, "PNM"},
                 {"Plain text", 10, NULL},
                 {"P6 99999999 99999999 255 ", 25, NULL},
                 {"BM", 2, NULL},
                 {"", 0, NULL}};
    for (size_t k = 0; k < COUNT(cases); k++) {
        bytes b = {.size = 0};
        memcpy(b.data, cases[k].data, cases[k].size);
        tl_tensor stream = stream_of(&b, cases[k].size);
        fake_case test = PLAIN_CASE(&tl_op_ImageDecoder_20, &stream);
        if (cases[k].refusal)
            run_fails(&test, TL_UNSUPPORTED, cases[k].refusal);
        else {
            run_ok(&test);
            assert_shape(&test.outputs[0], DIMS(0, 0, 3));
            fake_free(&test);
        }
        free_tensor(&stream);
    }
    tl_tensor none = new_tensor(TL_UINT8, DIMS(0));
    fake_attribute wrong[] = {ATTR_S("pixel_format", "CMYK")};
    fake_case test = CASE(&tl_op_ImageDecoder_20, wrong, &none);
    run_fails(&test, TL_INVALID_MODEL, "pixel_format");
    free_tensor(&none);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("image");
    ADD_TEST(suite, pictures);
    ADD_TEST(suite, scaled_grey);
    ADD_TEST(suite, others);
    return run_suite(suite);
}
