/*
 * What Redis holds of tasks 0 .. TASKS-1 of one name, what is remembered beside it, and the properties.
 *
 * Names that begin with `past` are no part of the system: they remember, so that `must` can compare.
 */

/* Owners: listeners are 0 .. LISTENERS-1, then the caller that runs a task itself, then nobody. */
#define CALLER LISTENERS
#define NOBODY (LISTENERS + 1)
#define OWNERS (LISTENERS + 2)
#define at(w, t) [(w) * TASKS + (t)]

/* States are the digits of the record. */
#define NONE 0
#define SCHEDULED 1
#define QUEUED 2
#define RUNNING 3
#define SUCCEEDED 4
#define FAILED 5
#define CANCELLED 6
#define hasEnded(t) (state[t] >= SUCCEEDED)

/* A lease or a due time. */
#define ABSENT 0
#define FRESH 1
#define OVER 2

/* Redis: the records, the places, the replay records. */
byte state[TASKS], owner[TASKS], fence[TASKS], crashes[TASKS], nonce[TASKS];
bool cancelAsked[TASKS];
byte hints[TASKS], lease[TASKS], due[TASKS];
byte replayFence[OWNERS];
bool replayHas[OWNERS * TASKS];
byte clock;

bool told[TASKS]; /* a message of the end is under way */
byte halves = HALVES;
bool stopped; /* the script that runs has stopped half way */

byte pastFence[TASKS], pastLost[TASKS], pastReturns[TASKS], pastStarts[TASKS], pastAccepted[TASKS * 2];
bool pastValid[TASKS]; /* the last fence owns the task */
bool pastCause[TASKS]; /* the lease may be lost: its owner was killed, stopped or told of an error */
bool pastCancel[TASKS];
bool pastOwn[OWNERS * TASKS]; /* an own call of the owner was accepted under its fence */

/* The properties, by the names under which they fail. */
hidden byte queuedHasHint, runningHasLease, scheduledHasDue, fenceIsCurrent, fenceGrows, endIsFinal, oneOutcome;
hidden byte startsAreBounded, lostForCause, keptIsTrue, noStartAfterCancel, cancelIsHonoured, oneWinner;
#define must(property, condition) property = (condition); assert(property)
