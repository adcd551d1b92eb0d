"""What the embedded PostgreSQL is told: settings that fit this machine, as the text of a configuration file."""

import os
from pathlib import Path

megabyte = 1024 * 1024
_container_limits = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def server_settings(socket_folder: Path, *, cluster_name: str, port: int, durable: bool, memory_bytes: int) -> str:
    """The configuration file, as text.

    Args:
        socket_folder: Where the server listens. There is no TCP.
        cluster_name: Stands in the title of every process of the server.
        port: Part of the socket's name.
        durable: False gives up crash safety for speed, in tests.
        memory_bytes: What the machine or container has.
    """
    megabytes = memory_bytes // megabyte
    settings: dict[str, str | int] = {
        "listen_addresses": "''",
        "port": port,
        "unix_socket_directories": _quoted('"' + str(socket_folder).replace('"', '""') + '"'),
        "unix_socket_permissions": "0700",
        "cluster_name": _quoted(cluster_name),
        "max_connections": 100,
        "shared_buffers": f"{_between(128, megabytes // 8, 2048)}MB",
        "effective_cache_size": f"{max(256, megabytes // 2)}MB",
        "work_mem": "32MB",
        "maintenance_work_mem": f"{_between(64, megabytes // 32, 512)}MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "jit": "off",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "log_destination": "'stderr'",
        "logging_collector": "off",
        "log_line_prefix": "'%m [%p] '",
        "log_checkpoints": "off",
        # Statements, their parameters and the details of an error can hold personal data.
        "log_statement": "'none'",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": 0,
        "log_parameter_max_length_on_error": 0,
        "log_error_verbosity": "terse",
    }
    if not durable:
        settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
    lines = [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(["# Written at each start. What you set with ALTER SYSTEM stands above this file.", *lines, ""])


def memory_of_this_machine() -> int:
    """Bytes of memory that this machine has, or that this container may use."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limit in _container_limits:
        try:
            found.append(int(limit.read_text()))
        except (OSError, ValueError):  # no such control group, or no limit in it
            continue
    return min(found)


def _between(low: int, wanted: int, high: int) -> int:
    return max(low, min(wanted, high))


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
