"""obstore (Rust's object_store), the fastest use of it that was found: streams, many objects at a time."""

from __future__ import annotations

import asyncio

from benchmarks.clients import Copy
from benchmarks.job import Job
from benchmarks.source import REGION
from benchmarks.stand_ins import ACCOUNT, KEY


def prepare(job: Job) -> Copy:
    """Import the library; a store belongs to one bucket or container."""
    del job
    import obstore
    from obstore.store import AzureStore, S3Store

    def copy(one: Job) -> None:
        source = S3Store(
            one.bucket,
            endpoint=one.source,
            region=REGION,
            access_key_id="access",
            secret_access_key="secret",
            client_options={"allow_http": True},
        )
        sink = AzureStore(
            one.container,
            account_name=ACCOUNT,
            account_key=KEY,
            endpoint=one.sink,
            client_options={"allow_http": True},
        )

        async def copy_object(key: str, turn: asyncio.Semaphore, parts: int) -> None:
            async with turn:
                found = await obstore.get_async(source, key)
                if one.size <= one.block_size:
                    await obstore.put_async(sink, key, await found.bytes_async())
                else:
                    stream = found.stream(min_chunk_size=one.block_size)
                    await obstore.put_async(sink, key, stream, chunk_size=one.block_size, max_concurrency=parts)

        async def copy_all() -> None:
            keys = one.keys
            if one.objects > 1:
                keys = [found["path"] async for page in obstore.list(source) for found in page]
            turn = asyncio.Semaphore(one.connections)
            parts = max(1, one.connections // min(len(keys), one.connections))
            await asyncio.gather(*(copy_object(key, turn, parts) for key in keys))

        asyncio.run(copy_all())

    return copy
