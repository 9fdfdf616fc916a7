"""TensorBoard reader: what TensorBoard itself makes of a folder, for tests of what is written."""

from pathlib import Path

from google.protobuf import json_format
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, list_session_groups
from tensorboard.plugins.hparams.backend_context import Context

Curve = list[tuple[int, float]]


class Reader:
    """A TensorBoard without its server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.multiplexer = EventMultiplexer()

    def runs(self) -> dict[str, dict[str, Curve]]:
        """The scalar curves of all runs by tag, read as far as they are written by now."""
        self.multiplexer.AddRunsFromDirectory(str(self.folder)).Reload()
        return {
            run: {
                tag: [
                    (event.step, [*event.tensor_proto.float_val, *event.tensor_proto.string_val][0])
                    for event in self.multiplexer.Tensors(run, tag)
                ]
                for tag in found["tensors"]
                if not tag.startswith("_hparams_")
            }
            for run, found in self.multiplexer.Runs().items()
        }

    def groups(self, **request: object) -> list[dict]:
        """The rows of the HParams tab, as it asks for them."""
        self.runs()
        provider = MultiplexerDataProvider(self.multiplexer, str(self.folder))
        context = Context(TBContext(data_provider=provider))
        wanted = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=1000)
        wanted.allowed_statuses.extend(range(4))
        json_format.ParseDict(request, wanted)
        infos = context.experiment_from_metadata(
            RequestContext(), "", True, context.hparams_metadata(RequestContext(), ""), []
        ).hparam_infos
        handler = list_session_groups.Handler(RequestContext(), context, "", wanted)
        assert infos
        return json_format.MessageToDict(handler.run())["sessionGroups"]
