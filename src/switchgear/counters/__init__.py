"""Level 2: the counters that limits and budgets share. What is counted is `policies.buckets`; what the answers mean is
`policies.limits` and `policies.budgets`.

One backend per process, all behind `backend.Counters` and one contract test: `memory.MemoryCounters` (one process alone) and
`shared.SharedCounters` (the edges of a node, over files that they map). Example, of a stage:

    problem = counters.peek([…])                            # at the head of a request: is a rate, a slot, a budget gone already?
    holds = [Hold(bucket, amount), …]                       # of all rules of the key's chain, in their order
    answer = counters.take(holds, attempt_id, done)         # all or nothing
    if answer is None:                                      # busy, or it goes with the turn's others:
        return WAIT                                         # done(answer) is called once, in a later turn
    if isinstance(answer, Taken):
        context.ticket = answer.ticket                      # owed from here on: exactly one settle or release
    elif isinstance(answer, Full):                          # answer.readings[n] belongs to holds[n]
        return problem_of(limits.judge(…))
    else:                                                   # Unknown: nobody can tell; budgets fail closed
        return Problem(OVERLOADED, answer.reason)
    …
    counters.settle(context.ticket, [1, tokens, 0, cost])   # the true amounts, in the holds' order
    counters.release(context.ticket)                        # instead: nothing was sent
    counters.flush()                                        # in each turn of the loop, before the spool's commit

Who starts the gateway: `column.prepare` makes the columns (and again after a boot), `column.stuck` names a process that stands
still with the lock. A process that begins ends what its predecessor left (`SharedCounters.orphans`): `release` where the journal
shows no dispatch, `suspend` where it does, `settle` when the cost is known. Control gives balances with `rebuild.Rebuild`, and
corrections with `SharedCounters.correct`.
"""
