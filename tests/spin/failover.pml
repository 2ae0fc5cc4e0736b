/*
 * Redis falls back to an older state: a failover to a replica that was behind, a restart with an older file, or, when
 * the state is that of the beginning, a flush. Time goes on: no fence is given twice.
 *
 * What is lost is as if it had never been, so what was remembered of it goes too. A caller that finds no record asks
 * again; a listener whose claim is lost is told so by its fence.
 */
byte oldState[TASKS], oldOwner[TASKS], oldFence[TASKS], oldCrashes[TASKS], oldNonce[TASKS];
bool oldCancelAsked[TASKS];
byte oldHints[TASKS], oldLease[TASKS], oldDue[TASKS];
byte oldPastFence[TASKS], oldPastLost[TASKS], oldPastReturns[TASKS], oldPastStarts[TASKS], oldPastAccepted[TASKS * 2];
bool oldPastValid[TASKS], oldPastOwn[OWNERS * TASKS];
bool isNewer[OWNERS]; /* the last claim is younger than the old state */
bool isKept, isBack;

inline keep() {
  for (i : 0 .. TASKS - 1) {
    oldState[i] = state[i]; oldOwner[i] = owner[i]; oldFence[i] = fence[i]; oldCrashes[i] = crashes[i];
    oldNonce[i] = nonce[i]; oldCancelAsked[i] = cancelAsked[i];
    oldHints[i] = hints[i]; oldLease[i] = lease[i]; oldDue[i] = due[i];
    oldPastFence[i] = pastFence[i]; oldPastLost[i] = pastLost[i]; oldPastReturns[i] = pastReturns[i];
    oldPastStarts[i] = pastStarts[i]; oldPastValid[i] = pastValid[i]
  }
  for (i : 0 .. OWNERS * TASKS - 1) { oldPastOwn[i] = pastOwn[i] }
  for (i : 0 .. 2 * TASKS - 1) { oldPastAccepted[i] = pastAccepted[i] }
  i = 0
}

inline fall_back() {
  for (i : 0 .. TASKS - 1) {
    if :: pastFence[i] > clock -> clock = pastFence[i] :: else fi;
    state[i] = oldState[i]; owner[i] = oldOwner[i]; fence[i] = oldFence[i]; crashes[i] = oldCrashes[i];
    nonce[i] = oldNonce[i]; cancelAsked[i] = oldCancelAsked[i];
    hints[i] = oldHints[i]; lease[i] = oldLease[i]; due[i] = oldDue[i];
    pastFence[i] = oldPastFence[i]; pastLost[i] = oldPastLost[i]; pastReturns[i] = oldPastReturns[i];
    pastStarts[i] = oldPastStarts[i]; pastValid[i] = oldPastValid[i];
    pastCause[i] = true
  }
  for (i : 0 .. OWNERS * TASKS - 1) { pastOwn[i] = oldPastOwn[i] }
  for (i : 0 .. 2 * TASKS - 1) { pastAccepted[i] = oldPastAccepted[i] }
  /* The sequence of a claim in doubt is above the stored one again: it is a new claim. */
  for (i : 0 .. OWNERS - 1) { if :: isNewer[i] && calling[i] == DOUBT -> calling[i] = IDLE :: else fi }
  i = 0
}

/* What is kept is forgotten once it is of no more use, so that equal states are one. */
inline forget() {
  for (i : 0 .. TASKS - 1) {
    oldState[i] = 0; oldOwner[i] = 0; oldFence[i] = 0; oldCrashes[i] = 0; oldNonce[i] = 0; oldCancelAsked[i] = 0;
    oldHints[i] = 0; oldLease[i] = 0; oldDue[i] = 0; oldPastFence[i] = 0; oldPastLost[i] = 0; oldPastReturns[i] = 0;
    oldPastStarts[i] = 0; oldPastValid[i] = 0
  }
  for (i : 0 .. OWNERS * TASKS - 1) { oldPastOwn[i] = 0 }
  for (i : 0 .. 2 * TASKS - 1) { oldPastAccepted[i] = 0 }
  for (i : 0 .. OWNERS - 1) { isNewer[i] = false }
  i = 0
}

proctype Failover() {
  byte i;
end:
  do
  :: atomic { !isKept -> isKept = true; keep() }
  :: atomic { isKept && !isBack -> isBack = true; fall_back(); forget() }
  od
}
