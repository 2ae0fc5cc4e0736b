/*
 * The scripts of src/store/redis over one Redis, for tasks 0 .. TASKS-1 of one name: an inline a verb, called within
 * `atomic`, since Redis runs one script at a time. `W` is a write; a script may stop half way before it (a wrong type,
 * no permission: protocol rule 2). Time is what may happen: what is FRESH may be OVER later. Redis' clock stands still
 * but for failovers: fences grow by the rule "at least the last plus one" alone.
 *
 * `#ifdef`s in capitals without a value are mutants: each breaks one rule, and some property must say so.
 */
#include "redis.pml"

#if HALVES
#define W(write) if :: stopped :: !stopped -> write :: !stopped && halves > 0 -> halves--; stopped = true fi
#else
#define W(write) write
#endif
#ifdef RECORD_FIRST
#define PLACE_THEN_RECORD(place, record) W(record); W(place)
#else
#define PLACE_THEN_RECORD(place, record) W(place); W(record)
#endif

/* What every script leaves behind holds together, also one that stopped. */
inline check_places() {
  for (i : 0 .. TASKS - 1) {
    must(queuedHasHint, state[i] != QUEUED || hints[i] > 0);
    must(runningHasLease, state[i] != RUNNING || lease[i] != ABSENT);
    must(scheduledHasDue, state[i] != SCHEDULED || due[i] != ABSENT)
  }
  i = 0;
  stopped = false
}
/* An owner that was told of an error may give up, and lose its lease. A claim is asked again instead. */
inline conclude() {
  for (i : 0 .. TASKS - 1) { if :: stopped -> pastCause[i] = true :: else fi }
  check_places()
}

#define add_hint(t) hints[t] = (hints[t] < 3 -> hints[t] + 1 : 3)

inline write_end(t, to, by) {
  must(endIsFinal, !hasEnded(t));
  must(cancelIsHonoured, !cancelAsked[t] || to != FAILED);
  state[t] = to;
  owner[t] = by;
  told[t] = true
}

/* Every way out of running that is not the owner's own call clears the owner. */
inline clear_owner(t) {
  must(lostForCause, pastCause[t]);
  pastLost[t]++;
  pastValid[t] = false;
#ifndef KEEP_OWNER
  owner[t] = NOBODY
#endif
}
inline write_back(t, to) { clear_owner(t); crashes[t]++; state[t] = to }
inline write_taken(t, to) { clear_owner(t); write_end(t, to, owner[t]) }

#ifdef RECOVERY_IGNORES_CANCEL
#define recoveryCancels(t) false
#else
#define recoveryCancels(t) cancelAsked[t]
#endif

inline take_back(t) {
  if
  :: recoveryCancels(t) -> W(write_taken(t, CANCELLED))
  :: !recoveryCancels(t) && crashes[t] >= CRASHES_MAX -> W(write_taken(t, FAILED))
  :: !recoveryCancels(t) && crashes[t] < CRASHES_MAX && crashes[t] == 0 -> PLACE_THEN_RECORD(add_hint(t), write_back(t, QUEUED))
  :: !recoveryCancels(t) && crashes[t] < CRASHES_MAX && crashes[t] > 0 -> PLACE_THEN_RECORD(due[t] = FRESH, write_back(t, SCHEDULED))
  fi
}

inline recover(t) {
  if
#ifdef NO_RECOVERY
  :: false -> skip
#else
  :: lease[t] == OVER ->
#ifdef OLD_PLACE_FIRST
    W(lease[t] = ABSENT);
#endif
    if :: state[t] == RUNNING -> take_back(t) :: else fi;
    W(lease[t] = ABSENT)
#endif
  :: else
  fi
}

inline promote(t) {
  if
  :: due[t] == OVER ->
    if :: state[t] == SCHEDULED -> PLACE_THEN_RECORD(add_hint(t), state[t] = QUEUED) :: else fi;
    W(due[t] = ABSENT)
  :: else
  fi
}

/* A new run of the id over what stood there. Its fence goes on growing. */
inline write_start(t, by) {
#ifndef ACROSS_RUNS
  /* A record remembers one nonce: a repetition after another caller's run has failed is a new run. */
  if :: nonce[t] != by -> pastAccepted[t * 2 + by - 1] = 0 :: else fi;
#endif
  state[t] = QUEUED; owner[t] = NOBODY; nonce[t] = by; crashes[t] = 0; cancelAsked[t] = false;
#ifdef FORGET_FENCE
  fence[t] = 0;
#endif
  told[t] = false;
  pastValid[t] = false; pastLost[t] = 0; pastReturns[t] = 0; pastStarts[t] = 0;
  pastCancel[t] = false
}
inline start(t, by) { PLACE_THEN_RECORD(add_hint(t), write_start(t, by)) }

/* The same nonce again is answered by what became of it; another joins, or starts anew what failed. */
inline enqueue(t, by) {
  if
  :: state[t] == NONE -> start(t, by)
#ifdef NO_NONCE
  :: hasEnded(t) -> start(t, by)
#endif
  :: nonce[t] != by && (state[t] == FAILED || state[t] == CANCELLED) -> start(t, by)
  :: nonce[t] == by && state[t] == QUEUED && hints[t] == 0 -> add_hint(t)
  :: else
  fi;
  conclude()
}

/* A new run over one that may go on. */
inline replace(t, by) {
  if
  :: nonce[t] != by && state[t] == RUNNING -> start(t, by); W(lease[t] = ABSENT)
  :: nonce[t] != by && state[t] == SCHEDULED -> start(t, by); W(due[t] = ABSENT)
  :: nonce[t] != by && state[t] != RUNNING && state[t] != SCHEDULED -> start(t, by)
  :: else
  fi;
  conclude()
}

/* In `least`: at least the last plus one, and not behind Redis' clock. */
inline new_fence() {
  if :: clock > least -> least = clock :: else fi;
  least++
}

inline write_running(w, t, f) {
  must(noStartAfterCancel, !pastCancel[t]);
  must(endIsFinal, !hasEnded(t));
  must(fenceGrows, f > pastFence[t] && f > clock);
  state[t] = RUNNING;
  owner[t] = w;
  fence[t] = f;
  pastFence[t] = f;
  pastValid[t] = true;
  pastCause[t] = false;
  pastStarts[t]++;
  must(startsAreBounded, pastStarts[t] <= 1 + pastLost[t] + pastReturns[t])
}

/* Leases, replay record, headers, and the hints last. One fence for all. */
inline sign(w, f) {
  for (i : 0 .. TASKS - 1) { if :: taken[i] -> W(lease[i] = FRESH) :: else fi }
  if
  :: stopped
  :: else ->
    replayFence[w] = f;
    for (i : 0 .. TASKS - 1) { replayHas at(w, i) = taken[i] }
  fi;
  for (i : 0 .. TASKS - 1) { if :: taken[i] -> W(write_running(w, i, f)) :: else fi }
}

/* A claim under a new sequence, for one task or for all; `first`: whose hint stands first. */
inline claim(w, most, first) {
  for (i : 0 .. TASKS - 1) { recover(i); promote(i) }
  for (i : 0 .. TASKS - 1) {
    t = (first + i) % TASKS;
    if
    :: hints[t] > 0 && count < most ->
      looked[t] = true;
      if
      :: state[t] == QUEUED -> taken[t] = true; count++; least = (fence[t] > least -> fence[t] : least)
      :: else
      fi
    :: else
    fi
  }
  t = 0;
#ifdef POP
  /* As a blocking pop does: the id is in the answer, and nowhere else. */
  for (i : 0 .. TASKS - 1) { if :: taken[i] -> hints[i]-- :: else fi }
#else
  new_fence();
  sign(w, least);
  for (i : 0 .. TASKS - 1) { if :: looked[i] -> W(hints[i]--) :: else fi }
#endif
}

#define isOwned(w, t, f) (owner[t] == (w) && fence[t] == (f))

/* The same sequence again: what is still owned, with new leases. */
inline replay(w) {
  for (i : 0 .. TASKS - 1) {
    if
    :: replayHas at(w, i) && state[i] == RUNNING && isOwned(w, i, replayFence[w]) -> lease[i] = FRESH
    :: else -> replayHas at(w, i) = false
    fi
  }
  conclude()
}

#ifdef NO_FENCE
#define mayWrite(w, t, f) (state[t] == RUNNING)
#else
#define mayWrite(w, t, f) (state[t] == RUNNING && isOwned(w, t, f))
#endif

/* "Kept already" is said only to an owner whose own call was accepted. */
inline refuse(w, t, f) { if :: isOwned(w, t, f) -> must(keptIsTrue, pastOwn at(w, t)) :: else fi }

inline accept(w, t, f) {
  must(fenceIsCurrent, pastValid[t] && f == pastFence[t]);
  pastOwn at(w, t) = true;
  pastValid[t] = false
}

inline write_outcome(w, t, f, to) {
  accept(w, t, f);
  pastAccepted[t * 2 + nonce[t] - 1]++;
  must(oneOutcome, pastAccepted[t * 2 + nonce[t] - 1] == 1);
  write_end(t, to, owner[t])
}

/* Complete, or fail for good. */
inline end_task(w, t, f, to) {
  if
  :: mayWrite(w, t, f) ->
    if
    :: to == FAILED && cancelAsked[t] -> W(write_outcome(w, t, f, CANCELLED))
    :: else -> W(write_outcome(w, t, f, to))
    fi;
    W(lease[t] = ABSENT)
  :: else -> refuse(w, t, f)
  fi;
  conclude()
}

#ifdef RETURN_IGNORES_CANCEL
#define returnCancels(t) false
#else
#define returnCancels(t) cancelAsked[t]
#endif

inline write_return(w, t, f, to) { accept(w, t, f); pastReturns[t]++; state[t] = to }

/* A release goes back to the head, a retry waits for its time. */
inline give_back(w, t, f, to) {
  if
  :: mayWrite(w, t, f) ->
    if
    :: returnCancels(t) -> W(write_outcome(w, t, f, CANCELLED))
    :: !returnCancels(t) && to == QUEUED -> PLACE_THEN_RECORD(add_hint(t), write_return(w, t, f, QUEUED))
    :: !returnCancels(t) && to == SCHEDULED -> PLACE_THEN_RECORD(due[t] = FRESH, write_return(w, t, f, SCHEDULED))
    fi;
    W(lease[t] = ABSENT)
  :: else -> refuse(w, t, f)
  fi;
  conclude()
}

/* Owned: with a new lease. Not owned: nothing is written. */
inline renew(w, t, f, owned) {
  owned = mayWrite(w, t, f);
  if :: owned -> lease[t] = FRESH :: else -> refuse(w, t, f) fi;
  for (i : 0 .. TASKS - 1) { recover(i); promote(i) }
  conclude()
}

/* The caller takes its task out of the queue; again, while it owns it, it is told its fence. */
inline withdraw(w, t, by) {
  if
  :: nonce[t] == by && state[t] == RUNNING && owner[t] == w -> W(lease[t] = FRESH)
  :: nonce[t] == by && (state[t] == QUEUED || (state[t] == SCHEDULED && due[t] == OVER)) ->
    least = fence[t];
    new_fence();
    W(lease[t] = FRESH);
    W(write_running(w, t, least));
    W(due[t] = ABSENT);
    least = 0
  :: else
  fi;
  if
  :: !stopped && nonce[t] == by && state[t] == RUNNING && owner[t] == w ->
    replayHas at(w, t) = true; replayFence[w] = fence[t]
  :: else -> replayHas at(w, t) = false
  fi;
  conclude()
}

/* What waits ends at once; what runs is marked. */
inline cancel(t) {
  if
  :: state[t] == RUNNING -> W(cancelAsked[t] = true; pastCancel[t] = true)
  :: state[t] == QUEUED || state[t] == SCHEDULED -> W(write_end(t, CANCELLED, NOBODY); pastCancel[t] = true); W(due[t] = ABSENT)
  :: else
  fi;
  conclude()
}
