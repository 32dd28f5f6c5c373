from progeo_core.fleet.retry_delay import RetryDelay


def test_waiting_grows_with_failures_and_only_the_first_is_news():
    now = [0.0]
    waiting = RetryDelay(lambda: now[0])
    assert waiting.over
    news, waits = [], []
    for _ in range(8):
        news.append(waiting.failed("away"))
        start = now[0]
        while not waiting.over:
            now[0] += 1.0
        waits.append(now[0] - start)
    assert news == [True] + [False] * 7
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    waiting.succeeded()
    assert (waiting.fault, waiting.failures) == ("", 8)
    assert waiting.failed("away again")
