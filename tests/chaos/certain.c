/* SPDX-License-Identifier: Apache-2.0 */
/* What has to come: waits that no deadline and no cancel ends. Elsewhere either would hide that a
 * wake-up was lost between two threads; here a task stands still, and the watchdog tells. */
#include <eddy/runtime/sync/channel.h>
#include <eddy/runtime/sync/event.h>
#include <eddy/runtime/sync/semaphore.h>

#include "producers.h"

/* Between two tasks, mostly on two loops. */
struct meeting {
    eddy_channel *there;
    eddy_channel *back;
    uint64_t rounds;
    eddy_event event;
    eddy_semaphore semaphore;
};

static int64_t answer(struct me *me, void *arg) {
    struct meeting *meeting = arg;
    eddy_task_name_set("certain, who answers");
    for (uint64_t i = 0; i < meeting->rounds; i++) {
        uint64_t number;
        REQUIRE_EQ(eddy_channel_recv(meeting->there, &number), 0);
        REQUIRE_EQ(number, i);
        if (one_in(me, 8)) {
            REQUIRE_EQ(rest(me), 0);
        }
        REQUIRE_EQ(eddy_channel_send(meeting->back, &number), 0);
    }
    eddy_event_set(&meeting->event);
    REQUIRE_EQ(rest(me), 0);
    REQUIRE_EQ(eddy_semaphore_post(&meeting->semaphore), 0);
    return 0;
}

static void meet(struct me *me, struct frame *frame) {
    struct meeting meeting = {.rounds = dice_below(me, 20)};
    REQUIRE_EQ(eddy_channel_new(sizeof(uint64_t), dice_below(me, 2), &meeting.there), 0);
    REQUIRE_EQ(eddy_channel_new(sizeof(uint64_t), dice_below(me, 2), &meeting.back), 0);
    REQUIRE_EQ(spawn_in(me, frame, true, answer, &meeting), 0);
    for (uint64_t i = 0; i < meeting.rounds; i++) {
        uint64_t number;
        REQUIRE_EQ(eddy_channel_send(meeting.there, &i), 0);
        REQUIRE_EQ(eddy_channel_recv(meeting.back, &number), 0);
        REQUIRE_EQ(number, i);
    }
    REQUIRE_EQ(eddy_event_wait(&meeting.event), 0);
    REQUIRE_EQ(eddy_semaphore_wait(&meeting.semaphore), 0);
    REQUIRE_EQ(frame_leave(me, frame, 0), 0);
    eddy_channel_free(meeting.there);
    eddy_channel_free(meeting.back);
}

static void await_promise(struct me *me) {
    eddy_future *f;
    struct pledge *pledge = pledge_new(me, &f);
    int64_t r = eddy_await(f);
    REQUIRE(r == (pledge->broken ? EDDY_EBROKEN : pledge->value));
    REQUIRE_EQ(eddy_future_result(f), r);
    eddy_future_release(f);
    pledge_sign(pledge, true, r);
}

static int64_t rest_elsewhere(struct me *me, void *arg) {
    (void)arg;
    eddy_task_name_set("certain, who is awaited");
    REQUIRE_EQ(rest(me), 0);
    return 7;
}

static void await_task(struct me *me) {
    struct frame root;
    eddy_future *f = start_on(me, &root, any_loop(me), rest_elsewhere, NULL);
    REQUIRE_EQ(eddy_await(f), 7);
    eddy_future_release(f);
}

int64_t act_certain(struct me *me) {
    struct frame frame;
    frame_enter(me, &frame, &(eddy_scope_opts){.shield = true});
    uint64_t kind = dice_below(me, 3);
    if (kind == 0) {
        meet(me, &frame);
    } else {
        kind == 1 ? await_promise(me) : await_task(me);
        REQUIRE_EQ(frame_leave(me, &frame, 0), 0);
    }
    return checked(me, eddy_checkpoint());
}
