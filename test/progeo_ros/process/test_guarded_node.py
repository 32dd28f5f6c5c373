"""What fails in callbacks is counted and answered, over DDS between two nodes of this process."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Parameter, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_msgs.msg import Int32
from std_srvs.srv import SetBool, Trigger

from progeo_ros.process.guarded_node import CallbackFailures, GuardedLifecycleNode

SECOND_OF_WORK, CALLS = 0.01, 60


class Clumsy(GuardedLifecycleNode):
    """Fails at odd numbers, and whenever it is asked to."""

    def __init__(self) -> None:
        super().__init__("clumsy")
        self.even: list[int] = []
        self.create_subscription(Int32, "numbers", self._on_number, 100)
        self.create_service(Trigger, "~/fail", self._on_fail)
        self.create_service(SetBool, "~/work", self._on_work)

    def _on_number(self, message: Int32) -> None:
        if message.data % 2:
            raise ValueError(f"{message.data} is odd")
        self.even.append(message.data)

    def _on_fail(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        raise ZeroDivisionError("by nobody")

    def _on_work(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        time.sleep(SECOND_OF_WORK)
        response.success, response.message = True, "done"
        return response


@pytest.fixture
def clumsy(peer) -> Iterator[Clumsy]:
    node = Clumsy()
    peer.executor.add_node(node)
    yield node
    peer.executor.remove_node(node)
    node.destroy_node()


def test_messages_after_a_failing_one_still_arrive(peer, clumsy: Clumsy) -> None:
    publisher = peer.node.create_publisher(Int32, "numbers", 100)
    peer.wait_for(publisher.get_subscription_count, "the subscription")
    for number in range(6):
        publisher.publish(Int32(data=number))
    peer.wait_for(lambda: len(clumsy.even) == 3, "the even numbers")
    peer.wait_for(lambda: clumsy.callback_failures.counts().total == 3, "the failures")
    assert clumsy.even == [0, 2, 4]
    counts = clumsy.callback_failures.counts()
    assert counts.last == "Clumsy._on_number: ValueError: 5 is odd"
    assert counts.age_s < 60.0


def test_a_failing_service_answers_why(peer, clumsy: Clumsy) -> None:
    response = peer.call(Trigger, "/clumsy/fail")
    assert (response.success, response.message) == (False, "failed: by nobody")
    assert clumsy.callback_failures.counts().total == 1


def test_services_of_rclpy_are_guarded_too(peer, clumsy: Clumsy) -> None:
    request = ChangeState.Request(transition=Transition(id=77))
    assert not peer.call(ChangeState, "/clumsy/change_state", request).success
    nonsense = Parameter(name="a", value=ParameterValue(type=99))
    peer.call(SetParameters, "/clumsy/set_parameters", SetParameters.Request(parameters=[nonsense]))
    assert clumsy.callback_failures.counts().total >= 1
    assert peer.call(Trigger, "/clumsy/fail").message == "failed: by nobody"


def test_sixty_calls_at_once_are_all_answered(peer, clumsy: Clumsy) -> None:
    del clumsy
    client = peer.node.create_client(SetBool, "/clumsy/work")
    peer.wait_for(client.service_is_ready, "the service")
    calls = [client.call_async(SetBool.Request()) for _ in range(CALLS)]
    peer.wait_for(lambda: all(call.done() for call in calls), "every answer")
    assert {call.result().message for call in calls} == {"done"}
    peer.node.destroy_client(client)


def test_a_failure_is_logged_once_and_each_kind_of_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail(error: Exception) -> None:
        raise error

    failures = CallbackFailures()
    assert failures.counts() == (0, "", float("inf"))
    guarded: Any = failures.guard(fail)
    for error in (KeyError("a"), KeyError("b"), OSError("c")):
        assert guarded(error) is None
    assert failures.counts().total == 3
    assert len([record for record in caplog.records if record.exc_info]) == 2


def test_a_signal_to_stop_is_no_failure() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CallbackFailures().guard(stop)()
