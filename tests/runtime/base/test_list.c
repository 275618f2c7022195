/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <eddy/runtime/base/list_impl.h>

#include "test.h"

struct item {
    int number;
    struct eddyi_list link;
};

#define COUNT 40
static struct item items[COUNT];

static void reset(void) {
    for (int i = 0; i < COUNT; i++) {
        items[i].number = i;
        eddyi_list_init(&items[i].link);
    }
}

/* Reads the list in both directions. */
static void check_list(struct eddyi_list *head, const int *numbers, size_t count) {
    struct eddyi_list *node = head;
    for (size_t i = 0; i < count; i++) {
        node = node->next;
        CHECK_EQ(EDDYI_LIST_ENTRY(node, struct item, link)->number, numbers[i]);
    }
    CHECK_PTR_EQ(node->next, head);
    for (size_t i = count; i > 0; i--) {
        CHECK_EQ(EDDYI_LIST_ENTRY(node, struct item, link)->number, numbers[i - 1]);
        node = node->prev;
    }
    CHECK_PTR_EQ(node, head);
    CHECK_EQ(eddyi_list_empty(head), count == 0);
}

#define CHECK_LIST(head, ...) \
    check_list((head), (int[]){__VA_ARGS__}, sizeof((int[]){__VA_ARGS__}) / sizeof(int))

TEST(a_new_list_is_empty_and_a_new_node_unlinked) {
    reset();
    struct eddyi_list fixed = EDDYI_LIST_INIT(fixed);
    struct eddyi_list head;
    eddyi_list_init(&head);
    check_list(&fixed, NULL, 0);
    check_list(&head, NULL, 0);
    CHECK_PTR_EQ(eddyi_list_pop_front(&head), NULL);
    CHECK(!eddyi_list_linked(&items[0].link));
    eddyi_list_push_back(&head, &items[0].link);
    CHECK(eddyi_list_linked(&items[0].link));
}

TEST(push_and_pop_at_the_ends) {
    reset();
    struct eddyi_list head = EDDYI_LIST_INIT(head);
    eddyi_list_push_back(&head, &items[1].link);
    eddyi_list_push_back(&head, &items[2].link);
    eddyi_list_push_front(&head, &items[0].link);
    CHECK_LIST(&head, 0, 1, 2);
    CHECK_PTR_EQ(eddyi_list_pop_front(&head), &items[0].link);
    CHECK(!eddyi_list_linked(&items[0].link));
    CHECK_LIST(&head, 1, 2);
}

TEST(remove_needs_no_list_and_may_come_twice) {
    reset();
    struct eddyi_list head = EDDYI_LIST_INIT(head);
    for (int i = 0; i < 4; i++) {
        eddyi_list_push_back(&head, &items[i].link);
    }
    eddyi_list_remove(&items[2].link);
    eddyi_list_remove(&items[2].link);
    CHECK_LIST(&head, 0, 1, 3);
    eddyi_list_remove(&items[0].link);
    eddyi_list_remove(&items[3].link);
    eddyi_list_remove(&items[1].link);
    check_list(&head, NULL, 0);
}

TEST(splice_moves_everything_to_the_end) {
    reset();
    struct eddyi_list to = EDDYI_LIST_INIT(to);
    struct eddyi_list from = EDDYI_LIST_INIT(from);
    eddyi_list_splice_back(&to, &from);
    check_list(&to, NULL, 0);
    eddyi_list_push_back(&from, &items[1].link);
    eddyi_list_push_back(&from, &items[2].link);
    eddyi_list_splice_back(&to, &from);
    CHECK_LIST(&to, 1, 2);
    check_list(&from, NULL, 0);
    eddyi_list_push_back(&from, &items[0].link);
    eddyi_list_splice_back(&to, &from);
    CHECK_LIST(&to, 1, 2, 0);
    eddyi_list_splice_back(&to, &from);
    CHECK_LIST(&to, 1, 2, 0);
}

TEST(each_survives_the_removal_of_the_present_node) {
    reset();
    struct eddyi_list head = EDDYI_LIST_INIT(head);
    for (int i = 0; i < 6; i++) {
        eddyi_list_push_back(&head, &items[i].link);
    }
    int seen = 0;
    EDDYI_LIST_EACH(node, &head) {
        struct item *item = EDDYI_LIST_ENTRY(node, struct item, link);
        CHECK_EQ(item->number, seen++);
        if (item->number % 2 == 0) {
            eddyi_list_remove(node);
        }
    }
    CHECK_EQ(seen, 6);
    CHECK_LIST(&head, 1, 3, 5);
    EDDYI_LIST_EACH(node, &head) {
        eddyi_list_remove(node);
    }
    check_list(&head, NULL, 0);
    EDDYI_LIST_EACH(node, &head) {
        CHECK(node == NULL); /* never comes here */
    }
}

TEST(random_operations_agree_with_an_array) {
    reset();
    struct eddyi_list head = EDDYI_LIST_INIT(head);
    struct eddyi_list other = EDDYI_LIST_INIT(other);
    int model[COUNT];
    size_t count = 0;
    for (int step = 0; step < 100000; step++) {
        struct item *item = &items[test_random_below(COUNT)];
        bool linked = eddyi_list_linked(&item->link);
        size_t at = 0;
        while (at < count && model[at] != item->number) {
            at++;
        }
        CHECK_EQ(linked, at < count);
        if (linked) {
            eddyi_list_remove(&item->link);
            memmove(model + at, model + at + 1, (count - at - 1) * sizeof model[0]);
            count--;
        } else if (test_random_below(2) == 0) {
            eddyi_list_push_back(&head, &item->link);
            model[count++] = item->number;
        } else {
            eddyi_list_push_front(&head, &item->link);
            memmove(model + 1, model, count * sizeof model[0]);
            model[0] = item->number;
            count++;
        }
        if (test_random_below(50) == 0) {
            eddyi_list_splice_back(&other, &head);
            check_list(&head, NULL, 0);
            eddyi_list_splice_back(&head, &other);
        }
        check_list(&head, model, count);
    }
}
