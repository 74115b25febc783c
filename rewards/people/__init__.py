"""Who is paid: the first drive that qualifies a wallet, and what is known about operators."""
