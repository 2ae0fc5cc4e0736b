/*
 * The life of tasks under leases: callers that enqueue, wait, cancel, replace and withdraw; listeners that claim, run
 * and end; answers that are lost, copies that come late, owners that are killed, or stopped until their lease is over.
 *
 * Who is killed stays dead: a process that is started again has another id. Idle claims and renewals that would change
 * nothing are left out, and a request that is lost on its way is a request that comes later.
 */
#include "store.pml"

/* A call of the claiming kind: none, its answer is under way, its answer was lost. */
#define IDLE 0
#define ANSWERED 1
#define DOUBT 2

byte lost = LOST, kills = KILLS, stops = STOPS, retries = RETRIES, releases = RELEASES;
bool alive[OWNERS];
byte calling[OWNERS];
bool has[OWNERS * TASKS]; /* it runs the task, as far as it knows */
byte held[OWNERS * TASKS]; /* under this fence */
byte ending[OWNERS * TASKS]; /* what it has told Redis without having been answered */
bool answered[TASKS];
/* One call of which a late copy is under way. */
byte copies = COPIES, copyOf = NOBODY, copyTask, copyFence, copyEnding;
byte seen[TASKS], verdict[TASKS]; /* the end as the waiter and the canceller saw it */

#define isBelieved(t) (alive[owner[t]] && ((has at(owner[t], t) && held at(owner[t], t) == fence[t]) || \
  (calling[owner[t]] != IDLE && replayHas at(owner[t], t) && replayFence[owner[t]] == fence[t])))
#define isWorthALook(t) (hints[t] > 0 || lease[t] == OVER || due[t] == OVER)
#if FAILOVERS
#include "failover.pml"
#define isYoung(w) isNewer[w] = isKept && !isBack
#else
#define isYoung(w)
#endif
#if TASKS == 1
#define anyWork isWorthALook(0)
#define ofAll(is) is(0)
#define slotIsFree(w) (!has at(w, 0))
#else
#define anyWork (isWorthALook(0) || isWorthALook(1))
#define ofAll(is) (is(0) && is(1))
#define slotIsFree(w) (!has at(w, 0) || !has at(w, 1))
#endif

/* The answer of a claim or withdraw: what it brings is started. */
inline receive(w) {
  for (i : 0 .. TASKS - 1) {
    if
    :: replayHas at(w, i) ->
      has at(w, i) = true; held at(w, i) = replayFence[w]; ending at(w, i) = ABSENT; pastOwn at(w, i) = false
    :: else
    fi
  }
  i = 0
}

#define CLAIM_ANSWERS(w) \
  :: atomic { alive[w] && calling[w] == ANSWERED -> calling[w] = IDLE; receive(w) } \
  :: atomic { alive[w] && calling[w] == ANSWERED && lost > 0 -> lost--; calling[w] = DOUBT }

proctype Listener(byte w) {
  byte i, t, count, least;
  bool taken[TASKS], looked[TASKS];
end:
  do
  :: atomic {
      alive[w] && calling[w] == IDLE && slotIsFree(w) && anyWork ->
      for (i : 0 .. TASKS - 1) { replayHas at(w, i) = false }
      if
      :: claim(w, 1, 0)
#if TASKS > 1
      :: claim(w, 1, 1)
      :: !has at(w, 0) && !has at(w, 1) -> claim(w, TASKS, 0)
#endif
      fi;
      isYoung(w);
      calling[w] = (stopped -> DOUBT : ANSWERED); /* after an error the same claim is asked again, once */
      check_places();
      for (i : 0 .. TASKS - 1) { taken[i] = false; looked[i] = false }
      i = 0; count = 0; least = 0
    }
  CLAIM_ANSWERS(w)
  :: atomic {
      alive[w] && calling[w] == DOUBT ->
#ifdef NO_REPLAY
      for (i : 0 .. TASKS - 1) { replayHas at(w, i) = false }
      i = 0;
#else
      replay(w);
#endif
      calling[w] = ANSWERED
    }
  od
}

/* The caller that runs its task itself, when it takes it back in time. */
proctype Withdrawer() {
  byte i, least, attempts = WITHDRAWALS;
end:
  do
  :: atomic {
      alive[CALLER] && calling[CALLER] == IDLE && attempts > 0 && !has at(CALLER, 0) && state[0] != NONE ->
      attempts--;
      withdraw(CALLER, 0, 1);
      isYoung(CALLER);
      calling[CALLER] = ANSWERED
    }
  CLAIM_ANSWERS(CALLER)
  :: atomic { alive[CALLER] && calling[CALLER] == DOUBT -> withdraw(CALLER, 0, 1); calling[CALLER] = ANSWERED }
  od
}

inline copy_call(w, t, f, to) {
  if
  :: copies > 0 && copyOf == NOBODY -> copies--; copyOf = w; copyTask = t; copyFence = f; copyEnding = to
  :: true
  fi
}

/* One task in the hands of one owner. A handler ends in the end: attemptTimeout sees to that. */
proctype Attempt(byte w; byte t) {
  byte i, renewals = RENEWALS;
  bool owned;
end:
  do
  :: atomic {
      alive[w] && has at(w, t) && ending at(w, t) == ABSENT && renewals > 0 && lease[t] == OVER ->
      renewals--;
      renew(w, t, held at(w, t), owned);
      has at(w, t) = owned;
      owned = false
    }
  :: atomic {
      alive[w] && has at(w, t) ->
      if
      :: ending at(w, t) == ABSENT -> ending at(w, t) = SUCCEEDED
      :: ending at(w, t) == ABSENT -> ending at(w, t) = FAILED
      :: ending at(w, t) == ABSENT && retries > 0 -> retries--; ending at(w, t) = SCHEDULED
      :: ending at(w, t) == ABSENT && releases > 0 -> releases--; ending at(w, t) = QUEUED
      :: ending at(w, t) != ABSENT
      fi;
      copy_call(w, t, held at(w, t), ending at(w, t));
      if
      :: ending at(w, t) >= SUCCEEDED -> end_task(w, t, held at(w, t), ending at(w, t))
      :: else -> give_back(w, t, held at(w, t), ending at(w, t))
      fi;
      if
      :: has at(w, t) = false; ending at(w, t) = ABSENT; held at(w, t) = 0
      :: lost > 0 -> lost--
      fi
    }
  od
}

/* What time does to a task. The lease of an owner that lives and knows of it is over only if that one is stopped. */
proctype Time(byte t) {
end:
  do
  :: atomic { lease[t] == FRESH && (state[t] != RUNNING || !alive[owner[t]]) -> pastCause[t] = true; lease[t] = OVER }
  :: atomic { lease[t] == FRESH && state[t] == RUNNING && alive[owner[t]] && !isBelieved(t) -> lease[t] = OVER }
  :: atomic { lease[t] == FRESH && isBelieved(t) && stops > 0 -> stops--; pastCause[t] = true; lease[t] = OVER }
  :: atomic { due[t] == FRESH -> due[t] = OVER }
  od
}

proctype Killer() {
  byte w;
end:
  do
  :: atomic {
      kills > 0 ->
      kills--;
      if :: w = 0 :: w = LISTENERS - 1 :: WITHDRAWALS > 0 -> w = CALLER fi;
      alive[w] = false;
      calling[w] = IDLE;
      w = 0
    }
  od
}

inline see(t) {
  if :: nonce[t] == 1 -> seen[t] = state[t]; must(oneWinner, verdict[t] == NONE || verdict[t] == seen[t]) :: else fi;
  answered[t] = true
}

/* Enqueues, repeats while in doubt, then hears of the end or finds it by a poll. */
proctype Waiter(byte t) {
  byte i;
  do
  :: atomic { enqueue(t, 1); if :: break :: lost > 0 -> lost-- fi }
  od;
  do
  :: atomic { told[t] && hasEnded(t) -> see(t); break }
  :: atomic { told[t] && lost > 0 -> lost--; told[t] = false }
#ifndef NO_POLL
  :: atomic { hasEnded(t) || (state[t] != NONE && nonce[t] != 1) -> see(t); break }
#endif
  :: atomic { state[t] == NONE -> enqueue(t, 1) }
  od
}

/* Late copies of calls whose repetition has been answered; and another caller that replaces the run by its own. */
proctype Rival() {
  byte i, least, replacements = REPLACEMENTS;
  bool mine;
end:
  do
  :: atomic { copies > 0 && nonce[0] == 1 -> copies--; enqueue(0, 1) }
  :: atomic {
      copies > 0 ->
      copies--;
      for (i : 0 .. OWNERS * TASKS - 1) {
        mine = replayHas[i] && state[i % TASKS] == RUNNING && isOwned(i / TASKS, i % TASKS, replayFence[i / TASKS]);
        if :: mine -> lease[i % TASKS] = FRESH :: else fi
      }
      i = 0; mine = false
    }
  :: atomic {
      copyOf != NOBODY ->
      if
      :: copyEnding >= SUCCEEDED -> end_task(copyOf, copyTask, copyFence, copyEnding)
      :: else -> give_back(copyOf, copyTask, copyFence, copyEnding)
      fi;
      copyOf = NOBODY; copyTask = 0; copyFence = 0; copyEnding = 0
    }
  :: atomic { replacements > 0 && nonce[0] == 1 -> replacements--; replace(0, 2) }
  od
}

proctype Canceller() {
  byte i, cancels = CANCELS;
end:
  do
  :: atomic { cancels > 0 && nonce[0] == 1 -> cancel(0); if :: cancels-- :: lost > 0 -> lost-- fi }
  :: atomic {
      cancels < CANCELS && hasEnded(0) && nonce[0] == 1 && verdict[0] == NONE ->
      verdict[0] = state[0];
      must(oneWinner, seen[0] == NONE || verdict[0] == seen[0])
    }
  od
}

/* The world goes on, also when nobody can do anything. */
proctype Clock() { end: do :: clock >= 0 od }

init {
  byte i;
  atomic {
    run Clock();
    for (i : 0 .. TASKS - 1) { owner[i] = NOBODY; run Time(i); run Waiter(i) }
    for (i : 0 .. LISTENERS - 1) {
      alive[i] = true;
      run Listener(i);
      run Attempt(i, 0);
#if TASKS > 1
      run Attempt(i, 1)
#endif
    }
    if :: KILLS > 0 -> run Killer() :: else fi;
#if FAILOVERS
    run Failover();
#endif
    if :: CANCELS > 0 -> run Canceller() :: else fi;
    if :: COPIES + REPLACEMENTS > 0 -> run Rival() :: else fi;
    if :: WITHDRAWALS > 0 -> alive[CALLER] = true; run Withdrawer(); run Attempt(CALLER, 0) :: else fi;
    i = 0
  }
}

#define isAnswered(t) answered[t]
#define isSettled(t) (state[t] == NONE || hasEnded(t))
ltl ends { <> [] ofAll(isSettled) }
ltl answers { <> ofAll(isAnswered) }
