/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes of all kinds inside of each other, as a random program of a seed makes them, against a
 * model that works out plainly what the headers promise: who ends with what, and when. */
#include <stdio.h>

#include <eddy/runtime/loop/loop_impl.h>
#include <eddy/runtime/task/scope_impl.h>
#include <eddy/runtime/task/task.h>

#include "test.h"

/* Times are drawn from days, so no two events fall together; the clock's own steps are nothing. */
#define LONGEST (10 * 24 * 3600 * EDDY_S)
#define TOLERANCE EDDY_S
#define NODES_MAX 64
#define CHILDREN_MAX 4
#define DEPTH_MAX 4

/* ---- a program ------------------------------------------------------------------------------- */

struct node {
    bool leaf;
    int64_t sleep_ns; /* a leaf, or a scope's body after it has spawned all */
    int64_t result;   /* of either, when nobody cut it short */
    /* A leaf that is cut short goes on for so long behind a shield; 0: ends at once. */
    int64_t extra_ns;
    int64_t late_result; /* what it then returns; 0: the code that it got */
    eddy_scope_opts opts;
    int64_t cancel_ns; /* somebody cancels the scope so long after it was entered; 0: nobody */
    size_t count;
    struct node *children[CHILDREN_MAX];
    /* What happened. */
    int64_t ended;
    int64_t ended_ns;
};

struct program {
    struct node nodes[NODES_MAX];
    size_t count;
    /* Deadlines only where no scope lies below. When one reaches several scopes at once it hangs on
     * who runs first what they say of it: the first task to end with -ETIME is a failure, which
     * cancels the others. Then only the times are the same in any order. */
    bool exact;
};

static int64_t draw_time(void) {
    return 1 + (int64_t)test_random_below((uint64_t)LONGEST);
}

static bool one_in(uint64_t n) {
    return test_random_below(n) == 0;
}

/* Results say whose they are. */
static int64_t draw_result(size_t number) {
    return one_in(3) ? -2000 - (int64_t)number : 1 + (int64_t)number;
}

static struct node *make(struct program *program, int depth, bool leaf) {
    size_t number = program->count++;
    struct node *node = &program->nodes[number];
    *node = (struct node){
        .leaf = leaf || depth == DEPTH_MAX || program->count > NODES_MAX / 2 ||
                (depth > 0 && one_in(2)),
        .sleep_ns = draw_time(),
        .result = draw_result(number),
    };
    if (node->leaf) {
        node->extra_ns = one_in(3) ? draw_time() : 0;
        node->late_result = one_in(2) ? draw_result(number) : 0;
        return node;
    }
    node->opts.policy = (eddy_scope_policy)test_random_below(3);
    node->opts.limit = one_in(3) ? 1 + (uint32_t)test_random_below(3) : 0;
    node->opts.timeout_ns = one_in(3) ? draw_time() : 0;
    node->opts.shield = one_in(5);
    node->cancel_ns = one_in(4) ? draw_time() : 0;
    size_t count = test_random_below(CHILDREN_MAX + 1);
    while (node->count < count && program->count < NODES_MAX - CHILDREN_MAX) {
        bool leaf_below = program->exact && node->opts.timeout_ns > 0;
        struct node *child = make(program, depth + 1, leaf_below);
        node->children[node->count++] = child;
    }
    return node;
}

/* ---- done ------------------------------------------------------------------------------------ */

static int64_t now(void) {
    return eddy_loop_now(eddy_loop_current());
}

static int64_t perform(void *arg);

static int64_t perform_leaf(struct node *node) {
    int r = eddy_sleep(node->sleep_ns);
    if (r == 0) {
        return node->result;
    }
    if (node->extra_ns > 0) {
        eddy_scope shield;
        CHECK_OK(eddy_scope_enter(&shield, &(eddy_scope_opts){.shield = true}));
        CHECK_OK(eddy_sleep(node->extra_ns));
        CHECK_OK(eddy_scope_leave(&shield, 0));
        CHECK(eddy_checkpoint() < 0); /* sticky */
        return node->late_result != 0 ? node->late_result : r;
    }
    return r;
}

struct canceller {
    struct eddyi_timer timer;
    eddy_scope *scope;
};

static void cancel_scope(struct eddyi_timer *timer) {
    CHECK_OK(eddy_scope_cancel(EDDYI_CONTAINER(timer, struct canceller, timer)->scope));
}

static int64_t perform_scope(struct node *node) {
    eddy_scope scope;
    struct canceller canceller = {.timer.fire = cancel_scope, .scope = &scope};
    CHECK_OK(eddy_scope_enter(&scope, &node->opts));
    if (node->cancel_ns > 0) {
        eddyi_timer_arm(eddy_loop_current(), &canceller.timer, now() + node->cancel_ns);
    }
    int64_t r = 0;
    for (size_t i = 0; i < node->count && r == 0; i++) {
        r = eddy_spawn(perform, node->children[i], 0);
        CHECK(node->opts.limit == 0 || eddyi_scope_of(&scope)->running <= node->opts.limit);
    }
    if (r == 0) {
        r = eddy_sleep(node->sleep_ns);
        r = r == 0 ? node->result : r;
    }
    r = eddy_scope_leave(&scope, r);
    eddyi_timer_disarm(eddy_loop_current(), &canceller.timer);
    return r;
}

static int64_t perform(void *arg) {
    struct node *node = arg;
    CHECK_EQ(node->ended_ns, 0); /* once */
    node->ended = node->leaf ? perform_leaf(node) : perform_scope(node);
    node->ended_ns = now();
    return node->ended;
}

/* ---- and worked out -------------------------------------------------------------------------- */

enum state { UNBORN, BORN, SPAWNING, SLEEPING, LINGERING, JOINING, ENDED };

struct model_task {
    const struct node *node;
    struct model_task *parent; /* whose scope it is in; NULL for the first */
    enum state state;
    int64_t wake_ns;
    int64_t result;
    int64_t ended_ns;
    /* A scope's. */
    int own;
    int64_t entered_ns;
    size_t spawned;
    size_t running;
    bool failed;
    bool body_failed; /* before any of its tasks */
    int64_t failure;
    int64_t failure_ns;
    bool succeeded;
    int64_t success;
    int64_t success_ns;
    /* It was under a cancel before the first failure or success. Then those of the same moment have
     * that cancel as their cause, and not each other: any of them may be the first. */
    bool failures_tie;
    bool successes_tie;
};

struct model {
    struct model_task tasks[NODES_MAX];
    const struct program *program;
    int64_t now_ns;
};

static int stronger(int a, int b) {
    return a == -ECANCELED || b == -ECANCELED ? -ECANCELED : a != 0 ? a : b;
}

/* The code inside of a task's scope, from the top down. */
static int code_in(const struct model_task *task) {
    if (task == NULL) {
        return 0;
    }
    int outer = task->node->opts.shield ? 0 : code_in(task->parent);
    return stronger(task->own, outer);
}

static void raise_code(struct model_task *task, int code) {
    task->own = stronger(task->own, code);
}

static void fail_scope(const struct model *model, struct model_task *scope, int64_t error) {
    if (!scope->failed) {
        scope->failed = true;
        scope->failure = error;
        scope->failure_ns = model->now_ns;
        scope->failures_tie = code_in(scope) != 0;
    } else if (scope->failures_tie && scope->failure_ns == model->now_ns &&
               error == scope->node->ended) {
        scope->failure = error;
    }
    if (scope->node->opts.policy == EDDY_SCOPE_ALL && scope->own == 0) {
        scope->own = -ECANCELED;
    }
}

static void end_task(struct model *model, struct model_task *task, int64_t result) {
    struct model_task *scope = task->parent;
    task->state = ENDED;
    task->result = result;
    task->ended_ns = model->now_ns;
    if (scope == NULL) {
        return;
    }
    scope->running--;
    if (result >= 0 && scope->node->opts.policy == EDDY_SCOPE_ANY && !scope->succeeded) {
        scope->succeeded = true;
        scope->success = result;
        scope->success_ns = model->now_ns;
        scope->successes_tie = code_in(scope) != 0;
        raise_code(scope, -ECANCELED);
    } else if (result >= 0 && scope->successes_tie && scope->success_ns == model->now_ns &&
               result == scope->node->ended) {
        scope->success = result;
    } else if (result < 0 && !(result == -ECANCELED && code_in(scope) == -ECANCELED)) {
        fail_scope(model, scope, result);
    }
}

static void leave(const struct model *model, struct model_task *task, int64_t result) {
    task->state = JOINING;
    task->result = result;
    /* A body that only passes on what it was told has not failed by itself. */
    if (result < 0 && result != code_in(task)) {
        fail_scope(model, task, result);
    } else if (result == -ETIME && !task->failed && !task->succeeded &&
               task->node->opts.policy == EDDY_SCOPE_ALL && task->own == 0) {
        /* An outer deadline: the scope ends with it, and its tasks with the scope. */
        fail_scope(model, task, result);
    }
}

/* One step that needs no time; false when there is none. */
static bool step(struct model *model, struct model_task *task) {
    const struct node *node = task->node;
    int code = node->leaf ? code_in(task->parent) : code_in(task);
    switch (task->state) {
    case BORN:
        task->entered_ns = model->now_ns;
        task->state = node->leaf ? SLEEPING : SPAWNING;
        task->wake_ns = model->now_ns + node->sleep_ns;
        return true;
    case SPAWNING:
        if (code != 0) {
            leave(model, task, code);
            return true;
        }
        if (task->spawned == node->count) {
            task->state = SLEEPING;
            task->wake_ns = model->now_ns + node->sleep_ns;
            return true;
        }
        if (node->opts.limit != 0 && task->running >= node->opts.limit) {
            return false;
        }
        model->tasks[node->children[task->spawned++] - model->program->nodes].state = BORN;
        task->running++;
        return true;
    case SLEEPING:
        if (task->wake_ns > model->now_ns && code == 0) {
            return false;
        }
        if (!node->leaf) {
            leave(model, task, code != 0 ? code : node->result);
        } else if (code == 0) {
            end_task(model, task, node->result);
        } else if (node->extra_ns == 0) {
            end_task(model, task, code);
        } else {
            task->state = LINGERING;
            task->result = node->late_result != 0 ? node->late_result : code;
            task->wake_ns = model->now_ns + node->extra_ns;
        }
        return true;
    case LINGERING:
        if (task->wake_ns > model->now_ns) {
            return false;
        }
        end_task(model, task, task->result);
        return true;
    case JOINING:
        if (task->running > 0) {
            return false;
        }
        end_task(model, task,
                 task->succeeded ? task->success
                 : task->failed  ? task->failure
                                 : task->result);
        return true;
    default:
        return false;
    }
}

static void earlier(int64_t *next_ns, int64_t at_ns, int64_t now_ns) {
    if (at_ns > now_ns && at_ns < *next_ns) {
        *next_ns = at_ns;
    }
}

/* The next moment at which anything happens by itself; then what does. */
static bool go_on(struct model *model) {
    int64_t next_ns = EDDY_NEVER;
    for (size_t i = 0; i < model->program->count; i++) {
        struct model_task *task = &model->tasks[i];
        const struct node *node = task->node;
        if (task->state == UNBORN || task->state == ENDED) {
            continue;
        }
        if (task->state == SLEEPING || task->state == LINGERING) {
            earlier(&next_ns, task->wake_ns, model->now_ns);
        }
        if (!node->leaf && node->opts.timeout_ns > 0) {
            earlier(&next_ns, task->entered_ns + node->opts.timeout_ns, model->now_ns);
        }
        if (!node->leaf && node->cancel_ns > 0) {
            earlier(&next_ns, task->entered_ns + node->cancel_ns, model->now_ns);
        }
    }
    if (next_ns == EDDY_NEVER) {
        return false;
    }
    model->now_ns = next_ns;
    for (size_t i = 0; i < model->program->count; i++) {
        struct model_task *task = &model->tasks[i];
        const struct node *node = task->node;
        if (task->state == UNBORN || task->state == ENDED || node->leaf) {
            continue;
        }
        if (node->opts.timeout_ns > 0 && task->entered_ns + node->opts.timeout_ns == next_ns) {
            raise_code(task, -ETIME);
        }
        if (node->cancel_ns > 0 && task->entered_ns + node->cancel_ns == next_ns) {
            raise_code(task, -ECANCELED);
        }
    }
    return true;
}

static void work_out(struct model *model, const struct program *program) {
    *model = (struct model){.program = program};
    for (size_t i = 0; i < program->count; i++) {
        model->tasks[i].node = &program->nodes[i];
        for (size_t k = 0; k < program->nodes[i].count; k++) {
            model->tasks[program->nodes[i].children[k] - program->nodes].parent = &model->tasks[i];
        }
    }
    model->tasks[0].state = BORN;
    do {
        bool again = true;
        while (again) {
            again = false;
            for (size_t i = 0; i < program->count; i++) {
                again |= step(model, &model->tasks[i]);
            }
        }
    } while (go_on(model));
}

/* ---- and compared ---------------------------------------------------------------------------- */

static void show(const struct program *program, const struct model *model) {
    static const char *const policies[] = {"all", "any", "collect"};
    for (size_t i = 0; i < program->count; i++) {
        const struct node *node = &program->nodes[i];
        const struct model_task *task = &model->tasks[i];
        printf("%2zu in %2d: ", i, task->parent == NULL ? -1 : (int)(task->parent - model->tasks));
        if (node->leaf) {
            printf("sleep %lld, %lld; lingers %lld, %lld", (long long)(node->sleep_ns / EDDY_S),
                   (long long)node->result, (long long)(node->extra_ns / EDDY_S),
                   (long long)node->late_result);
        } else {
            printf("%s limit %u timeout %lld cancel %lld%s, body sleep %lld, %lld",
                   policies[node->opts.policy], node->opts.limit,
                   (long long)(node->opts.timeout_ns / EDDY_S),
                   (long long)(node->cancel_ns / EDDY_S), node->opts.shield ? " shield" : "",
                   (long long)(node->sleep_ns / EDDY_S), (long long)node->result);
        }
        printf("\n      gave %lld at %lld, model %lld at %lld\n", (long long)node->ended,
               (long long)(node->ended_ns / EDDY_S), (long long)task->result,
               (long long)(task->ended_ns / EDDY_S));
    }
}

static void compare(const struct program *program, const struct model *model, int64_t begin_ns) {
    for (size_t i = 0; i < program->count; i++) {
        const struct node *node = &program->nodes[i];
        const struct model_task *task = &model->tasks[i];
        bool ended = node->ended_ns != 0;
        bool same = ended == (task->state == ENDED);
        if (ended && same) {
            int64_t apart_ns = node->ended_ns - begin_ns - task->ended_ns;
            same = apart_ns < TOLERANCE && apart_ns > -TOLERANCE;
            same &= !program->exact || node->ended == task->result;
        }
        if (!same) {
            show(program, model);
            test_fail(__FILE__, __LINE__, "node %zu differs from the model", i);
        }
    }
}

static int64_t play(void *arg) {
    (void)arg;
    static struct program program;
    static struct model model;
    program = (struct program){.exact = one_in(2)};
    make(&program, 0, false);
    int64_t begin_ns = now();
    perform(&program.nodes[0]);
    work_out(&model, &program);
    compare(&program, &model, begin_ns);
    CHECK_EQ(eddy_loop_current()->live, 1);
    return 0;
}

/* Days of sleeping pass: only on the simulation, which every other test shows to behave as the
 * others do. */
TEST_TIMEOUT(random_programs_of_scopes_are_those_of_a_plain_model, 120) {
    int rounds = test_is_slow() ? 1000 : 10000;
    for (int i = 0; i < rounds; i++) {
        eddy_loop *loop;
        CHECK_OK(
            eddy_loop_new(&(eddy_loop_opts){.driver = "sim", .seed = 1 + test_random()}, &loop));
        CHECK_OK(eddy_loop_call(loop, play, NULL));
        eddy_loop_free(loop);
    }
}
