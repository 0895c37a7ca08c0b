import tensorflow as tf

from tfmmrec.search.called_graph import called


def test_a_called_part_is_one_operation():
    """Whether a branch is called or written out, the result is the same; only the first stays out of the graph."""

    def long(x):
        for _ in range(50):
            x = tf.sin(x)
        return x

    def nodes(branch):
        @tf.function(autograph=False)
        def run(x):
            return tf.cond(x > 0, lambda: branch(x), lambda: x)

        function = run.get_concrete_function(tf.TensorSpec([]))
        [taken] = [f for f in function.graph.as_graph_def().library.function if "true" in f.signature.name]
        return run(tf.constant(2.0)), len(taken.node_def)

    (written, many), (apart, few) = nodes(long), nodes(called(long))
    assert written == apart and few < 5 < many
