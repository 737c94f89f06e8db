import asyncio

from pointsman.cli.demonstration import visitors as room
from pointsman.cli.demonstration.visitors import visitors
from pointsman.core.record import Record
from pointsman.core.settings import RecordsSettings
from pointsman.records.journal import Journal


def a_record(name, at):
    return Record(name, at, "chat", "auto", "auto", "", "", False, "answered", 200, 0.1, 0.1)


def test_only_newcomers_are_shown_oldest_first(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.0)
    path = str(tmp_path / "records.db")
    journal = Journal(RecordsSettings(path=path))
    for name, at in (("ours", 1.0), ("b", 3.0), ("a", 2.0)):
        journal.write(a_record(name, at))
    journal.flush()

    async def first_two():
        found, crowd = [], visitors(path, ["ours"])
        async for record in crowd:
            found.append(record.id)
            if len(found) == 2:
                break
        await crowd.aclose()
        return found

    assert asyncio.run(first_two()) == ["a", "b"]
    journal.stop()
