"""Stand-in for `ors.client`: an environment on orwd has no network."""

from orwd_guest.host_only import placeholder

ORS = placeholder("ORS", "client")
AsyncORS = placeholder("AsyncORS", "client")
Session = placeholder("Session", "client")
AsyncSession = placeholder("AsyncSession", "client")
