/*
 * A result that is read once: take marks it for one reader, the reader's acknowledgement deletes it, and a tombstone
 * answers late copies of its enqueue. Answers are lost, copies come late, the id is enqueued again by another caller.
 *
 * `past…` remembers, `must` compares, capitals without a value are mutants, as in store.pml.
 */
#define NONE 0
#define RUNNING 1
#define ENDED 2
#define DELETED 3
#define READERS 2
#define RUNS 2 /* nonces are 1 and 2 */
#define NOBODY READERS

byte state, nonce, reader = NOBODY;
bool taken, joined;

byte lost = LOST, copies = COPIES;
bool isEnqueued[RUNS + 1];
bool inDoubt[READERS]; /* the record that was taken may still be had by the same reader: no other run has begun */
byte lateAck = NOBODY, lateAckNonce; /* an acknowledgement of which a copy is under way */

bool pastRun[RUNS + 1]; /* the run of this nonce has begun */
byte pastReader = NOBODY; /* who was given what stands there */

hidden byte oneReader, oneRun, readerHasIt, deletesItsOwn, joinedIsKept;
#define must(property, condition) property = (condition); assert(property)

inline start(by) {
  must(oneRun, !pastRun[by]);
  pastRun[by] = true;
  state = RUNNING; nonce = by; taken = false; joined = false; reader = NOBODY; pastReader = NOBODY;
  inDoubt[0] = false; inDoubt[1] = false
}

inline enqueue(by) {
  if
  :: state == NONE -> start(by)
  :: state != NONE && nonce == by -> skip /* answered by what became of it; a tombstone says deleted */
  :: nonce != by && (state == DELETED || (state == ENDED && taken)) -> start(by)
  :: nonce != by && state == RUNNING -> joined = true
  :: nonce != by && state == ENDED && !taken -> skip /* gets the stored result */
  fi
}

#define hasEnded (state == ENDED || state == DELETED)
#define NOTHING 0
#define LIVE 1
#define RECORD 2
inline take(r, answer) {
  if
  :: state == NONE || state == DELETED -> answer = NOTHING
  :: state == RUNNING || (state == ENDED && joined) -> answer = (state == RUNNING -> LIVE : RECORD)
  :: state == ENDED && !joined && taken -> answer = (reader == r -> RECORD : NOTHING)
  :: state == ENDED && !joined && !taken ->
    answer = RECORD;
#ifndef TAKE_WITHOUT_MARK
    taken = true;
    reader = r
#endif
  fi;
  if
  :: answer == RECORD && !joined -> must(oneReader, pastReader == NOBODY || pastReader == r); pastReader = r
  :: else
  fi
}

#ifdef ACKNOWLEDGE_ANY_READER
#define mayDelete(r, n) (taken)
#elif defined(ACKNOWLEDGE_ANY_RUN)
#define mayDelete(r, n) (taken && reader == r)
#else
#define mayDelete(r, n) (taken && reader == r && nonce == n)
#endif
inline acknowledge(r, n) {
  if
  :: state == ENDED && mayDelete(r, n) ->
    must(deletesItsOwn, pastReader == r && nonce == n);
    must(joinedIsKept, !joined);
#ifdef NO_TOMBSTONE
    state = NONE
#else
    state = DELETED
#endif
    ; taken = false; reader = NOBODY
  :: else
  fi
}

/* A caller of run `by`; after it, perhaps, a late copy. */
proctype Caller(byte by) {
  do
#ifndef ACROSS_RUNS
  /* A record remembers one nonce: a repetition after another run has come and gone is out of its reach. */
  :: atomic { pastRun[by] && nonce != by -> isEnqueued[by] = true; break }
  :: atomic { (!pastRun[by] || nonce == by) -> enqueue(by); if :: isEnqueued[by] = true; break :: lost > 0 -> lost-- fi }
#else
  :: atomic { enqueue(by); if :: isEnqueued[by] = true; break :: lost > 0 -> lost-- fi }
#endif
  od;
end:
  do
  :: atomic { copies > 0 && nonce == by -> copies--; enqueue(by) }
  od
}

/* Takes, again while its answer is lost, and acknowledges what it was given. */
proctype Reader(byte r) {
  byte answer, mine, reads = READS;
end:
  do
  :: atomic {
      reads > 0 && (hasEnded || inDoubt[r]) ->
      take(r, answer);
      must(readerHasIt, !inDoubt[r] || answer == RECORD);
      if
      :: answer == RECORD && lost > 0 -> lost--; inDoubt[r] = !joined
      :: answer == RECORD -> inDoubt[r] = false; mine = nonce; goto acknowledging
      :: answer != RECORD -> inDoubt[r] = false; reads--
      fi;
      answer = 0
    }
  od;
acknowledging:
  atomic {
    acknowledge(r, mine);
    if
    :: copies > 0 && lateAck == NOBODY -> copies--; lateAck = r; lateAckNonce = mine
    :: true
    fi;
    reads--; mine = 0; answer = 0;
    goto end
  }
}

#define noCallIsLeft (copies == 0 && lateAck == NOBODY && isEnqueued[nonce] && !inDoubt[0] && !inDoubt[1])
proctype World() {
end:
  do
  :: atomic { state == RUNNING -> state = ENDED }
  :: atomic { lateAck != NOBODY -> acknowledge(lateAck, lateAckNonce); lateAck = NOBODY; lateAckNonce = 0 }
  /* A taken record stays for a minute, as does a tombstone: longer than anybody repeats a call. */
  :: atomic { hasEnded && (taken || state == DELETED) && noCallIsLeft -> state = NONE; taken = false; reader = NOBODY }
  od
}

proctype Clock() { end: do :: nonce >= 0 od }
init { atomic { run Clock(); run Caller(1); run Caller(2); run Reader(0); run Reader(1); run World() } }

/* Somebody reads it, or it goes by itself: nothing stays for ever that was taken. */
ltl goes { [] ((state == ENDED && taken) -> <> (state != ENDED || !taken)) }
