"""Other routers' configurations, turned into ours with a report of what came along."""
