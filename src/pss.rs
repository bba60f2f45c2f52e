//! The Pod Security Standards' verdict on a pod. Knows pods as values; nothing of files, rules or fixes.
