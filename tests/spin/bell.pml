/*
 * The bell: tokens wake listeners that sleep, ids never leave Redis in a blocking answer. Without a fault no task waits
 * while a listener sleeps, though nobody polls (POLLS 0): who uses up its free slots rings for the others, who stops
 * rings for what it may have left. A token that dies with a killed listener is what polls are for (POLLS 1).
 *
 * A handler may hang: it keeps its slot for ever, so that the others must be woken. Capitals without a value are
 * mutants, as in store.pml.
 */
#define CAP 2 /* tokens at most; 4 in Redis, where a claim costs less than another token */

byte waiting, tokens, ended;
byte running[LISTENERS], free[LISTENERS];
byte toEnqueue = TASKS, hangs = HANGS, leaves = LEAVES, kills = KILLS;
byte hung;

#define ring() tokens = (tokens < CAP -> tokens + 1 : CAP)

/* Tasks are enqueued one by one, or several in a call that rings once. */
proctype Caller() {
end:
  do
  :: atomic { toEnqueue > 0 -> toEnqueue--; waiting++; ring() }
  :: atomic { toEnqueue > 1 -> toEnqueue = toEnqueue - 2; waiting = waiting + 2; ring() }
  od
}

#define ASLEEP 0
#define HUNGRY 1
#define FULL 2
#define LEAVING 3
#define GONE 4

proctype Listener(byte me) {
  byte phase = HUNGRY;
  free[me] = SLOTS;
end:
  do
  :: atomic { phase == ASLEEP && tokens > 0 -> tokens--; phase = HUNGRY }
  :: atomic { phase == ASLEEP && POLLS && waiting > 0 -> phase = HUNGRY }
  :: atomic {
      phase == HUNGRY && free[me] > 0 ->
      do
      :: waiting > 0 && free[me] > 0 -> waiting--; running[me]++; free[me]--
      :: else -> break
      od;
      phase = (free[me] == 0 -> FULL : ASLEEP);
#ifndef NO_RING_AGAIN
      if :: phase == FULL && waiting > 0 -> ring() :: else fi
#endif
    }
  :: atomic { (phase == FULL || phase == ASLEEP) && running[me] > 0 && hangs > 0 -> hangs--; running[me]--; hung++ }
  :: atomic {
      (phase == FULL || phase == ASLEEP) && running[me] > 0 ->
      running[me]--; free[me]++; ended++;
      if :: phase == FULL -> phase = HUNGRY :: else fi
    }
  /* It stops: what it has is given back, a token that it took but did not use is gone. */
  :: atomic { phase != LEAVING && phase != GONE && leaves > 0 -> leaves--; phase = LEAVING }
  :: atomic { phase == LEAVING && running[me] > 0 ->
      running[me]--; waiting++;
#ifndef NO_RING_AT_RELEASE
      ring()
#else
      skip
#endif
    }
  :: atomic { phase == LEAVING && running[me] == 0 ->
      phase = GONE;
#ifndef NO_RING_AT_LEAVE
      if :: waiting > 0 -> ring() :: else fi
#endif
    }
  /* It is killed: recovery gives back what it had. */
  :: atomic { phase != GONE && kills > 0 -> kills--; waiting = waiting + running[me]; running[me] = 0; phase = GONE }
  od
}

/* The world goes on, also when nobody can do anything. */
proctype Clock() { end: do :: waiting >= 0 od }

init {
  byte i;
  atomic { run Clock(); run Caller(); for (i : 0 .. LISTENERS - 1) { run Listener(i) } i = 0 }
}

/* While listeners are left with slots that can be free, nothing waits for ever. */
ltl served { <> [] (waiting == 0 && toEnqueue == 0) }
