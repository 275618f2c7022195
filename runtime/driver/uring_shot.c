/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multishots: one request, many completions, the last of them without F_MORE. They belong to a
 * handle and go on while nobody waits, so their completions name a slot and its generation: one
 * that comes late finds the slot free or in other hands, and nothing else.
 *
 *     idle --arm--> armed --last completion--> idle       the kernel may end it whenever it likes
 *                     \--cancel--> ending --/
 */
#include <eddy/runtime/driver/uring_impl.h>

#include <errno.h>
#include <unistd.h>

#include <eddy/runtime/base/memory_impl.h>

/* user_data: generation, slot, tag. */
#define SLOT_SHIFT 3
#define SLOT_BITS 29
#define GENERATION_SHIFT (SLOT_SHIFT + SLOT_BITS)
#define SLOT_MAX ((UINT32_C(1) << SLOT_BITS) - 1)
#define SLOTS_FIRST 16

_Static_assert(EDDYI_URING_TAG_MASK == (1 << SLOT_SHIFT) - 1, "the tag lies below the slot");

/* While a multishot that must end cannot be asked to, or does not, look again after this time. */
#define LOOK_AGAIN_NS EDDY_MS

static uint64_t name_of(const struct eddyi_uring *u, const struct eddyi_uring_shot *shot,
                        uint8_t tag) {
    return (uint64_t)u->slots[shot->slot].generation << GENERATION_SHIFT |
           (uint64_t)shot->slot << SLOT_SHIFT | tag;
}

/* ---- slots ----------------------------------------------------------------------------------- */

static int grow(struct eddyi_uring *u) {
    uint32_t count = u->slot_count == 0 ? SLOTS_FIRST : u->slot_count * 2;
    if (count > SLOT_MAX) {
        return -ENOMEM;
    }
    struct eddyi_uring_slot *slots = eddyi_resize(u->slots, count * sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = u->slot_count; i < count; i++) {
        slots[i] = (struct eddyi_uring_slot){.next_free = i + 1};
    }
    slots[count - 1].next_free = EDDYI_URING_NO_SLOT;
    u->slot_free = u->slot_count;
    u->slots = slots;
    u->slot_count = count;
    return 0;
}

int eddyi_uring_shot_open(struct eddyi_uring *u, struct eddyi_uring_shot *shot, uint8_t tag,
                          struct eddyi_handle *handle) {
    if (u->slot_free == EDDYI_URING_NO_SLOT) {
        int r = grow(u);
        if (r < 0) {
            return r;
        }
    }
    *shot = (struct eddyi_uring_shot){.slot = u->slot_free, .tag = tag, .handle = handle};
    eddyi_list_init(&shot->in_want);
    u->slot_free = u->slots[shot->slot].next_free;
    u->slots[shot->slot].shot = shot;
    return 0;
}

void eddyi_uring_shot_close(struct eddyi_uring *u, struct eddyi_uring_shot *shot) {
    shot->want_arm = false;
    /* In a forked child the parent's requests are not ours to end. */
    if (shot->armed && u->loop->pid == getpid()) {
        u->holding = true;
        eddyi_uring_shot_cancel(u, shot);
        (void)eddyi_uring_fill(u);
        eddyi_uring_turn(u, 0);
        while (shot->armed) {
            /* The kernel had it between two queues, or no memory: rare, so this may wait. */
            (void)eddyi_uring_fill(u);
            eddyi_uring_turn(u, LOOK_AGAIN_NS);
        }
        u->holding = false;
    }
    eddyi_list_remove(&shot->in_want);
    struct eddyi_uring_slot *slot = &u->slots[shot->slot];
    slot->shot = NULL;
    slot->generation++;
    slot->next_free = u->slot_free;
    u->slot_free = shot->slot;
}

/* ---- arming and cancelling ------------------------------------------------------------------- */

void eddyi_uring_shot_start(struct eddyi_uring *u, struct eddyi_uring_shot *shot,
                            struct io_uring_sqe *sqe) {
    eddyi_list_remove(&shot->in_want);
    if (shot->want_cancel) {
        shot->want_cancel = false;
        io_uring_prep_cancel64(sqe, name_of(u, shot, shot->tag), 0);
        sqe->user_data = name_of(u, shot, EDDYI_URING_TAG_UNSHOT);
        return;
    }
    shot->want_arm = false;
    shot->armed = true;
    u->slots[shot->slot].generation++;
    if (shot->tag == EDDYI_URING_TAG_RECV) {
        io_uring_prep_recv_multishot(sqe, shot->handle->fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = EDDYI_URING_BUFFER_GROUP;
    } else {
        io_uring_prep_multishot_accept(sqe, shot->handle->fd, NULL, NULL, SOCK_CLOEXEC);
    }
    sqe->user_data = name_of(u, shot, shot->tag);
}

static void want(struct eddyi_uring *u, struct eddyi_uring_shot *shot) {
    struct io_uring_sqe *sqe = eddyi_uring_sqe(u, 0);
    if (sqe != NULL) {
        eddyi_uring_shot_start(u, shot, sqe);
    } else {
        eddyi_list_push_back(&u->shots, &shot->in_want);
    }
}

void eddyi_uring_shot_arm(struct eddyi_uring *u, struct eddyi_uring_shot *shot) {
    if (!shot->armed && !shot->want_arm) {
        shot->want_arm = true;
        want(u, shot);
    }
}

void eddyi_uring_shot_cancel(struct eddyi_uring *u, struct eddyi_uring_shot *shot) {
    if (shot->want_arm) {
        shot->want_arm = false;
        eddyi_list_remove(&shot->in_want);
    } else if (shot->armed && !shot->ending) {
        shot->ending = true;
        shot->want_cancel = true;
        want(u, shot);
    }
}

/* ---- completions ----------------------------------------------------------------------------- */

/* The cancel's own. Not found though it is there: it was between two queues, so once more. */
static void cancel_event(struct eddyi_uring *u, struct eddyi_uring_shot *shot, int res) {
    if (res == -ENOENT && shot->armed && shot->ending && !u->lost) {
        shot->want_cancel = true;
        want(u, shot);
    }
}

static void idle(struct eddyi_uring_shot *shot) {
    shot->armed = false;
    shot->ending = false;
    shot->want_cancel = false;
    eddyi_list_remove(&shot->in_want);
}

void eddyi_uring_shot_event(struct eddyi_uring *u, uint64_t user_data, int res, unsigned flags) {
    uint8_t tag = (uint8_t)(user_data & EDDYI_URING_TAG_MASK);
    uint32_t number = (uint32_t)(user_data >> SLOT_SHIFT) & SLOT_MAX;
    uint32_t generation = (uint32_t)(user_data >> GENERATION_SHIFT);
    struct eddyi_uring_slot *slot = number < u->slot_count ? &u->slots[number] : NULL;
    struct eddyi_uring_shot *shot =
        slot != NULL && slot->generation == generation ? slot->shot : NULL;
    if (shot == NULL) {
        if (tag == EDDYI_URING_TAG_ACCEPT && res >= 0) {
            close(res); /* for a listener that is gone */
        } else if ((flags & IORING_CQE_F_BUFFER) != 0) {
            eddyi_uring_recycle(u, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT));
        }
        return;
    }
    if (tag == EDDYI_URING_TAG_UNSHOT) {
        cancel_event(u, shot, res);
        return;
    }
    EDDYI_URING_ACQUIRE(shot);
    if ((flags & IORING_CQE_F_MORE) == 0) {
        idle(shot);
    }
    if (tag == EDDYI_URING_TAG_RECV) {
        eddyi_uring_recv_event(u, shot, res, flags);
    } else {
        eddyi_uring_accept_event(u, shot, res);
    }
}

void eddyi_uring_give_up_shots(struct eddyi_uring *u) {
    for (uint32_t i = 0; i < u->slot_count; i++) {
        struct eddyi_uring_shot *shot = u->slots[i].shot;
        if (shot == NULL) {
            continue;
        }
        bool lost = shot->armed;
        if (lost) {
            u->slots[i].generation++;
            idle(shot);
        }
        /* Who waits has it armed again. */
        if (shot->tag == EDDYI_URING_TAG_ACCEPT) {
            eddyi_uring_accept_event(u, shot, -ECANCELED);
        } else if (lost) {
            eddyi_uring_recv_lost(u, shot);
        } else {
            eddyi_uring_recv_event(u, shot, -ECANCELED, 0);
        }
    }
}
