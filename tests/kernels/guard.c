#include "guard.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

guarded guarded_alloc(size_t size, int before)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = (size + page - 1) / page * page;
    guarded memory = {.size = size, .map_size = pages + 2 * page};
    memory.map = mmap(NULL, memory.map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(memory.map != MAP_FAILED);
    char *middle = (char *)memory.map + page;
    ck_assert(pages == 0 || mprotect(middle, pages, PROT_READ | PROT_WRITE) == 0);
    memory.data = before ? middle : middle + (pages - size);
    if (size > 0)
        memset(memory.data, 0xff, size);
    return memory;
}

void guarded_free(guarded *memory)
{
    munmap(memory->map, memory->map_size);
}
