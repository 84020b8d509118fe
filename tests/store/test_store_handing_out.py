"""A run handed out in batches: every document once, in order, with what the run says of it and of no other run."""

from __future__ import annotations

from labelmill.store import Store
from labelmill.store.handing_out import done_documents, predictions_by_document


def test_documents_come_page_by_page(written, fill):
    """Each once, in the order of their ids, however many there are."""
    fill()
    with Store(written.path, write=True) as store:
        store.connection.execute(
            "INSERT INTO documents SELECT 'first', 'd' || i, '', '', 1, [], '', 1 FROM range(10001) AS t(i)"
        )
    with Store(written.path) as store:
        pages = list(done_documents(store, "first"))
        assert list(done_documents(store, "other")) == []
    ids = [name for page in pages for name in page]
    assert ids == sorted({f"d{number}" for number in range(10001)})
    assert max(map(len, pages)) == 5000


def test_predictions_come_in_the_order_asked_for(written, fill):
    """By rank; none of a document that has none, and None of one that the run has not done; whatever batch it was in."""
    for names in (["a", "b"], ["c"], ["d"]):
        fill([written.document(name) for name in names])
    fill([written.document("e", labels=0)])
    fill([written.document("a", labels=1)], run="second")
    with Store(written.path) as store:
        found = predictions_by_document(store, "first", ["d", "nobody", "a", "e"])
        chosen = predictions_by_document(store, "first", ["d", "a"], selected_only=True)
        nothing = predictions_by_document(store, "first", ["x"])
    both = [(0, 1, 1.0, True), (1, 2, 0.5, False)]
    assert found == [both, None, both, []]
    assert chosen == [both[:1], both[:1]]
    assert nothing == [None]
