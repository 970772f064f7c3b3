/* The limit: what one pass over MBO records costs when a C compiler does its best.
 *
 * It keeps what the engine keeps without walls and radar: orders, depth per price and side, add, pull and fill
 * per price and side by the fill rule of spec 4.6, pulls of resting orders apart, and a row for every second:
 * best prices, events, crossed events, trades and volume. It knows one clean stream: no second snapshot, no late
 * or bad records, no phases, no counters for a manifest, no rows of single trades. It is a clock for the engine;
 * its values are compared with the engine's before any time is printed, so both have done the same work.
 *
 * Orders: open addressing, linear probing, multiplicative hash, deletion by shifting back, at most half full.
 * Levels: one array, index 2 * (tick - base) + side, side 0 bid and 1 ask; it grows when a price lies outside.
 * Flow of a level belongs to `window`; it is zeroed when a new window first touches the level.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BID = 0, ASK = 1 };
enum { F_LAST = 128, F_SNAPSHOT = 32 };
enum { WORDS = 7 }; /* a record is seven little-endian 64-bit words */
static const int64_t WINDOW_NS = 1000000000;

typedef struct { /* id 0 = free slot */
    uint64_t id;
    int64_t enter_ns;
    int32_t level, qty, fill;
    uint32_t event; /* event that `fill` belongs to */
} Order;

typedef struct {
    int32_t depth, orders, add, pull, pull_rest, fill;
    int32_t window;
} Level;

typedef struct {
    int64_t window_end_ns, bid_price, bid_qty, ask_price, ask_qty;
    int64_t last_trade, crossed, events, buy, sell, trades;
} Row;

typedef struct {
    Order *orders;
    uint64_t mask;
    int shift;
    int64_t live;
    Level *levels;
    int64_t base, ticks; /* tick of levels[0], number of ticks */
    int64_t best[2];     /* index of a tick; -1 and `ticks` when the side is empty */
    int64_t tick_int;
    int64_t *totals; /* 4 per level: add, pull, pull_rest, fill of all closed windows that count */
    int32_t *touched;
    int64_t n_touched;
    int64_t window_end;
    int32_t window;
    uint32_t event;
    uint64_t aggressor;
    int has_trade;
    Row *rows;
    int64_t n_rows, room;
    int64_t count_from_ns, rest_ns;
    int64_t event_records;
    Row now; /* what the window has counted so far */
} Book;

static inline uint64_t place(const Book *b, uint64_t id) { return id * 0x9E3779B97F4A7C15ull >> b->shift; }

static inline uint64_t find(const Book *b, uint64_t id) {
    uint64_t j = place(b, id);
    while (b->orders[j].id && b->orders[j].id != id) j = (j + 1) & b->mask;
    return j;
}

static void erase(Book *b, uint64_t hole) {
    for (uint64_t j = (hole + 1) & b->mask; b->orders[j].id; j = (j + 1) & b->mask) {
        uint64_t home = place(b, b->orders[j].id);
        if (((j - home) & b->mask) >= ((j - hole) & b->mask)) {
            b->orders[hole] = b->orders[j];
            hole = j;
        }
    }
    b->orders[hole].id = 0;
    b->live--;
}

static void grow_orders(Book *b) {
    Order *old = b->orders;
    uint64_t count = b->mask + 1;
    b->orders = calloc(2 * count, sizeof(Order));
    b->mask = 2 * count - 1;
    b->shift--;
    for (uint64_t i = 0; i < count; i++)
        if (old[i].id) b->orders[find(b, old[i].id)] = old[i];
    free(old);
}

static void reach(Book *b, int64_t tick) {
    int64_t low = b->base, high = b->base + b->ticks;
    while (tick < low) low -= high - low;
    while (tick >= high) high += high - low;
    int64_t shift = b->base - low, ticks = high - low;
    Level *levels = calloc(2 * ticks, sizeof(Level));
    memcpy(levels + 2 * shift, b->levels, 2 * b->ticks * sizeof(Level));
    int64_t *totals = calloc(8 * ticks, sizeof(int64_t));
    memcpy(totals + 8 * shift, b->totals, 8 * b->ticks * sizeof(int64_t));
    b->touched = realloc(b->touched, 2 * ticks * sizeof(int32_t));
    for (int64_t i = 0; i < b->n_touched; i++) b->touched[i] += 2 * shift;
    for (uint64_t i = 0; i <= b->mask; i++)
        if (b->orders[i].id) b->orders[i].level += 2 * shift;
    b->best[BID] = b->best[BID] < 0 ? -1 : b->best[BID] + shift;
    b->best[ASK] = b->best[ASK] == b->ticks ? ticks : b->best[ASK] + shift;
    free(b->levels);
    free(b->totals);
    b->levels = levels;
    b->totals = totals;
    b->base = low;
    b->ticks = ticks;
}

static inline Level *touch(Book *b, int32_t at) {
    Level *l = b->levels + at;
    if (l->window != b->window) {
        l->window = b->window;
        l->add = l->pull = l->pull_rest = l->fill = 0;
        b->touched[b->n_touched++] = at;
    }
    return l;
}

static inline void join(Book *b, int32_t at, int32_t qty) {
    int64_t tick = at >> 1;
    b->levels[at].depth += qty;
    b->levels[at].orders++;
    if (at & 1) {
        if (tick < b->best[ASK]) b->best[ASK] = tick;
    } else if (tick > b->best[BID])
        b->best[BID] = tick;
}

static inline void leave(Book *b, int32_t at, int32_t qty) {
    int64_t tick = at >> 1;
    b->levels[at].depth -= qty;
    if (--b->levels[at].orders) return;
    if (at & 1) {
        if (tick == b->best[ASK]) {
            while (tick < b->ticks && !b->levels[2 * tick + ASK].orders) tick++;
            b->best[ASK] = tick;
        }
    } else if (tick == b->best[BID]) {
        while (tick >= 0 && !b->levels[2 * tick].orders) tick--;
        b->best[BID] = tick;
    }
}

static inline void end_event(Book *b) {
    b->now.events++;
    b->now.crossed += b->best[BID] >= b->best[ASK];
    b->event++;
    b->event_records = 0;
    b->has_trade = 0;
}

static inline __attribute__((always_inline)) void close_window(Book *b, const int keep_totals) {
    if (b->event_records) end_event(b);
    if (b->n_rows < b->room) {
        Row *row = b->rows + b->n_rows++;
        *row = b->now;
        int64_t bid = b->best[BID], ask = b->best[ASK];
        row->window_end_ns = b->window_end;
        row->bid_price = bid < 0 ? 0 : (b->base + bid) * b->tick_int;
        row->bid_qty = bid < 0 ? 0 : b->levels[2 * bid].depth;
        row->ask_price = ask == b->ticks ? 0 : (b->base + ask) * b->tick_int;
        row->ask_qty = ask == b->ticks ? 0 : b->levels[2 * ask + ASK].depth;
    }
    if (keep_totals && b->window_end > b->count_from_ns)
        for (int64_t i = 0; i < b->n_touched; i++) {
            int32_t at = b->touched[i];
            b->totals[4 * at] += b->levels[at].add;
            b->totals[4 * at + 1] += b->levels[at].pull;
            b->totals[4 * at + 2] += b->levels[at].pull_rest;
            b->totals[4 * at + 3] += b->levels[at].fill;
        }
    b->n_touched = 0;
    b->window++;
    b->window_end += WINDOW_NS;
    b->now = (Row){.last_trade = b->now.last_trade};
}

static inline int32_t fill_of(const Book *b, const Order *o) { return o->event == b->event ? o->fill : 0; }

static void clear(Book *b) {
    memset(b->orders, 0, (b->mask + 1) * sizeof(Order));
    for (int64_t i = 0; i < 2 * b->ticks; i++) b->levels[i] = (Level){.window = -1};
    b->live = b->n_touched = 0;
    b->best[BID] = -1;
    b->best[ASK] = b->ticks;
}

static inline __attribute__((always_inline)) void run(Book *b, const uint64_t *w, int64_t n, uint32_t instrument,
                                                      const int keep_totals) {
    for (const uint64_t *end = w + WORDS * n; w < end; w += WORDS) {
        if ((uint32_t)(w[0] >> 32) != instrument) continue;
        int64_t ts = (int64_t)w[1];
        uint64_t id = w[2], packed = w[4];
        int32_t size = (int32_t)(uint32_t)packed;
        int flags = packed >> 32 & 0xff, action = packed >> 48 & 0xff, side = (packed >> 56) == 'A' ? ASK : BID;
        if (!(flags & F_SNAPSHOT)) {
            if (!b->window_end) { /* the first window opens; what the snapshot added is no flow */
                b->window_end = ts - ts % WINDOW_NS + WINDOW_NS;
                b->window++;
                b->n_touched = 0;
            }
            while (ts >= b->window_end) close_window(b, keep_totals);
            b->event_records++;
        }
        switch (action) {
        case 'A':
        case 'M': {
            int64_t tick = (int64_t)w[3] / b->tick_int - b->base;
            if ((uint64_t)tick >= (uint64_t)b->ticks) {
                reach(b, tick + b->base);
                tick = (int64_t)w[3] / b->tick_int - b->base;
            }
            uint64_t j = find(b, id);
            Order *o = b->orders + j;
            if (!o->id) {
                int32_t at = 2 * tick + side;
                if (2 * (b->live + 1) > (int64_t)b->mask) {
                    grow_orders(b);
                    o = b->orders + find(b, id);
                }
                *o = (Order){id, ts, at, size, 0, b->event};
                b->live++;
                touch(b, at)->add += size;
                join(b, at, size);
                break;
            }
            int32_t old = o->level, qty = o->qty, fill = fill_of(b, o), at = 2 * tick + (old & 1);
            Level *l = touch(b, old);
            if (action == 'M' && at == old) {
                int32_t grown = size - qty + fill;
                l->fill += fill;
                if (grown > 0) l->add += grown;
                else {
                    l->pull -= grown;
                    if (ts - o->enter_ns >= b->rest_ns) l->pull_rest -= grown;
                }
                l->depth += size - qty;
            } else {
                if (action == 'A') fill = 0, at = 2 * tick + side; /* an A of a known id pulls the old one */
                int32_t shown = fill < qty ? fill : qty;
                l->fill += fill;
                l->add += fill - shown;
                l->pull += qty - shown;
                if (ts - o->enter_ns >= b->rest_ns) l->pull_rest += qty - shown;
                o->enter_ns = ts;
                leave(b, old, qty);
                touch(b, at)->add += size;
                join(b, at, size);
                o->level = at;
            }
            o->qty = size;
            o->fill = 0;
            break;
        }
        case 'C': {
            uint64_t j = find(b, id);
            Order *o = b->orders + j;
            if (!o->id) break;
            int32_t gone = size < o->qty ? size : o->qty, fill = fill_of(b, o), shown = fill < gone ? fill : gone;
            Level *l = touch(b, o->level);
            l->fill += fill;
            l->add += fill - shown;
            l->pull += gone - shown;
            if (ts - o->enter_ns >= b->rest_ns) l->pull_rest += gone - shown;
            o->fill = 0;
            if (gone == o->qty) {
                int32_t at = o->level;
                erase(b, j);
                leave(b, at, gone);
            } else {
                o->qty -= gone;
                l->depth -= gone;
            }
            break;
        }
        case 'F': {
            if (b->has_trade && id == b->aggressor) break;
            Order *o = b->orders + find(b, id);
            if (o->id) {
                o->fill = fill_of(b, o) + size;
                o->event = b->event;
            }
            break;
        }
        case 'T':
            b->has_trade = 1;
            b->aggressor = id;
            b->now.trades++;
            if ((packed >> 56) == 'B') b->now.buy += size;
            else if ((packed >> 56) == 'A') b->now.sell += size;
            if ((int64_t)w[3] > 0) b->now.last_trade = (int64_t)w[3];
            break;
        case 'R':
            clear(b);
            break;
        }
        if (flags & F_LAST && !(flags & F_SNAPSHOT)) end_event(b);
    }
    if (b->window_end) close_window(b, keep_totals);
}

/* ---- the door ------------------------------------------------------------------------------------------ */

Book *book_new(int64_t tick_int, int64_t first_tick, int64_t rest_ns, Row *rows, int64_t room) {
    Book *b = calloc(1, sizeof(Book));
    b->mask = (1 << 15) - 1;
    b->shift = 64 - 15;
    b->orders = calloc(b->mask + 1, sizeof(Order));
    b->ticks = 8192;
    b->base = first_tick - b->ticks / 2;
    b->levels = calloc(2 * b->ticks, sizeof(Level));
    b->totals = calloc(8 * b->ticks, sizeof(int64_t));
    b->touched = calloc(2 * b->ticks, sizeof(int32_t));
    b->tick_int = tick_int;
    b->event = 1;
    b->rest_ns = rest_ns;
    b->rows = rows;
    b->room = room;
    clear(b);
    return b;
}

void book_free(Book *b) {
    free(b->orders);
    free(b->levels);
    free(b->totals);
    free(b->touched);
    free(b);
}

/* All records of one day in one call; -> rows written. */
int64_t book_run(Book *b, const uint64_t *words, int64_t n, uint32_t instrument) {
    run(b, words, n, instrument, 0);
    return b->n_rows;
}

/* The same, and the flow of each level is summed over the windows that end after `from_ns`. */
int64_t book_run_with_totals(Book *b, const uint64_t *words, int64_t n, uint32_t instrument, int64_t from_ns) {
    b->count_from_ns = from_ns;
    run(b, words, n, instrument, 1);
    return b->n_rows;
}

int64_t book_ticks(const Book *b) { return b->ticks; }
int64_t book_orders(const Book *b) { return b->live; }

/* Copies what a caller may look at: price, depth, add, pull, pull_rest, fill of every tick and side: [2 * ticks][6]. */
void book_levels(const Book *b, int64_t *out) {
    for (int64_t at = 0; at < 2 * b->ticks; at++, out += 6) {
        out[0] = (b->base + (at >> 1)) * b->tick_int;
        out[1] = b->levels[at].depth;
        memcpy(out + 2, b->totals + 4 * at, 4 * sizeof(int64_t));
    }
}
