"""The watchdog: what a vanished run could not tell is told, and the run is started again."""

from prefect import flow

from tasks.watching import find_lost, start_again


@flow(name="watch-operations", retries=0, persist_result=False)
def watch_operations() -> list[str]:
    """Tell the end of every operation whose run has vanished; return those started again.

    A run vanishes with its task or its machine: nothing is left that could call a hook. Its lease
    runs out, and that is how it is found. An ending that SNS did not take is told as well.

    Changes no cluster and no snapshot. Safe to run as often as you like, also twice at once.
    """
    lost = find_lost()
    return [start_again(each) for each in lost if each.may_resume]
