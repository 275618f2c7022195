/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a place in the program, for whoever has to look there. */
#include <eddy/runtime/base/track_impl.h>

#ifdef EDDYI_TRACK

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct name {
    char text[128];
    uint64_t offset; /* of the place behind the beginning of the function */
};

/* A file that is mapped whole, and of which no word is believed. */
struct image {
    const char *data;
    size_t len;
};

static const void *part(const struct image *image, uint64_t offset, uint64_t len) {
    return offset <= image->len && len <= image->len - offset ? image->data + offset : NULL;
}

static bool search(const struct image *image, const ElfW(Shdr) * table, const ElfW(Shdr) * texts,
                   uint64_t address, struct name *ret_name) {
    const ElfW(Sym) *symbols = part(image, table->sh_offset, table->sh_size);
    const char *text = part(image, texts->sh_offset, texts->sh_size);
    size_t count = symbols == NULL || text == NULL ? 0 : table->sh_size / sizeof *symbols;
    for (size_t i = 0; i < count; i++) {
        const ElfW(Sym) *symbol = &symbols[i];
        bool function = ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && symbol->st_name != 0;
        if (function && address >= symbol->st_value &&
            address - symbol->st_value < symbol->st_size && symbol->st_name < texts->sh_size) {
            int len = (int)strnlen(text + symbol->st_name, texts->sh_size - symbol->st_name);
            snprintf(ret_name->text, sizeof ret_name->text, "%.*s", len, text + symbol->st_name);
            ret_name->offset = address - symbol->st_value;
            return true;
        }
    }
    return false;
}

static bool search_image(const struct image *image, uint64_t address, struct name *ret_name) {
    const ElfW(Ehdr) *head = part(image, 0, sizeof *head);
    if (head == NULL || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) {
        return false;
    }
    uint64_t len = (uint64_t)head->e_shnum * sizeof(ElfW(Shdr));
    const ElfW(Shdr) *sections = part(image, head->e_shoff, len);
    for (size_t i = 0; sections != NULL && i < head->e_shnum; i++) {
        if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head->e_shnum) {
            return search(image, &sections[i], &sections[sections[i].sh_link], address, ret_name);
        }
    }
    return false;
}

/* Functions that a program keeps to itself are in its file only, as long as it is not stripped. */
static bool name_in_file(const char *path, uint64_t address, struct name *ret_name) {
    bool found = false;
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        size_t len = (size_t)st.st_size;
        void *data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data != MAP_FAILED) {
            found = search_image(&(struct image){data, len}, address, ret_name);
            munmap(data, len);
        }
    }
    close(fd);
    return found;
}

void eddyi_track_describe(const void *place, char *ret_text, size_t size) {
    /* The call itself stands before the place to which it returns. */
    uintptr_t at = (uintptr_t)place - 1;
    Dl_info info;
    struct link_map *map;
    if (place == NULL || dladdr1((const void *)at, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 ||
        info.dli_fname == NULL) {
        snprintf(ret_text, size, "%p", place);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    const char *program = slash == NULL ? info.dli_fname : slash + 1;
    const char *path = map->l_name[0] == '\0' ? "/proc/self/exe" : map->l_name;
    uint64_t address = at - map->l_addr;
    struct name name;
    if (name_in_file(path, address, &name)) {
        snprintf(ret_text, size, "%s+0x%llx (%s)", name.text, (unsigned long long)name.offset,
                 program);
    } else if (info.dli_sname != NULL) {
        snprintf(ret_text, size, "%s+0x%llx (%s)", info.dli_sname,
                 (unsigned long long)(at - (uintptr_t)info.dli_saddr), program);
    } else {
        snprintf(ret_text, size, "%s+0x%llx", program, (unsigned long long)address);
    }
}

#endif
